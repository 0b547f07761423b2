"""Looking after a namespace: letting go what is not worth keeping, and consolidating the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from memory_mgr.engine.consolidating import Consolidation, Progress
from memory_mgr.engine.operations import Change, Operation
from memory_mgr.engine.plans import actions, retainable
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.scheduling import Scheduler
from memory_mgr.policy.retention import plan_pruning
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import MemoryEntry, MemoryType, Namespace, UpkeepReport


class Upkeep:
    """Consolidation and pruning of one namespace.

    Args:
        runtime: The shared pieces.
        namespace: Whose.
    """

    def __init__(self, runtime: Runtime, namespace: Namespace) -> None:
        self._runtime = runtime
        self._namespace = namespace

    def prune(self, repository: Repository, tier: MemoryType, quota: int | None, *, dry_run: bool) -> UpkeepReport:
        """Hide what is least worth keeping; delete what has been hidden for the grace period.

        What was superseded counts too, at a discount: history is bounded by the same quota.
        """
        now = self._runtime.now()
        operation = Operation("prune", now, self._runtime.intake.actor)
        with repository.lock:
            deleted = self._sweep(repository, now, dry_run=dry_run)
            entries = {e.id: e for e in _unexpired(repository, tier, now)}
            accesses = repository.accesses()
            derived = repository.read(lambda catalog: catalog.derivations())
            weighed = [retainable(entry, accesses, derived) for entry in entries.values()]
            plan = plan_pruning(weighed, now, self._runtime.config.retention, quota=quota)
            changes = [
                Change(entries[i], {"expires_at": now}, f"{why.reason}, retention {why.retention:.3f}", "prune")
                for i, why in plan.pruned.items()
            ]
            if not dry_run:
                operation.apply(repository, changes)
        return UpkeepReport(operation.id if changes else None, tuple(actions(changes)), deleted, dry_run)

    def _sweep(self, repository: Repository, now: datetime, *, dry_run: bool) -> int:
        """Delete entries whose time was up more than the grace period ago."""
        over = now - timedelta(days=self._runtime.config.grace_days)
        gone = repository.read(lambda catalog: catalog.expired(over))
        if gone and not dry_run:
            repository.remove(gone)
        return len(gone)

    def consolidate(
        self,
        repository: Repository,
        *,
        dry_run: bool = False,
        max_seconds: float | None = None,
        progress: Progress | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> UpkeepReport:
        """Merge duplicates, supersede what is out of date, link, and summarise what was not, since the last time."""
        with repository.lock:
            deleted = self._sweep(repository, self._runtime.now(), dry_run=dry_run)
        run = Consolidation(
            self._runtime, self._namespace, repository, dry_run=dry_run, max_seconds=max_seconds, stopped=stopped
        )
        return run.report(progress, deleted=deleted)


def in_background(runtime: Runtime) -> Scheduler:
    """The consolidation of the namespaces of a runtime, when and for how long its settings say."""
    auto = runtime.config.auto_consolidate

    def work(namespace: Namespace, stopped: Callable[[], bool]) -> bool:
        with runtime.lease(namespace) as repository:
            report = Upkeep(runtime, namespace).consolidate(repository, max_seconds=auto.max_seconds, stopped=stopped)
        return report.complete or stopped()

    return Scheduler(work, after_adds=auto.after_adds, after_seconds=auto.after_seconds)


def _unexpired(repository: Repository, tier: MemoryType, now: datetime) -> list[MemoryEntry]:
    everything = repository.read(lambda catalog: catalog.listed(Selection((tier,), now, hidden=True), limit=None))
    return [entry for entry in everything if entry.expires_at is None or entry.expires_at > now]
