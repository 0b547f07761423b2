"""Looking after a namespace: merging what says the same, hiding what is outdated, letting go what is not worth it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from memory_mgr.engine.messages import MESSAGE
from memory_mgr.engine.operations import Change, Operation
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.summarizing import Summaries
from memory_mgr.errors import MemoryMgrError
from memory_mgr.policy.dedupe import Merge, Record, plan_merges
from memory_mgr.policy.retention import Retainable, plan_pruning
from memory_mgr.policy.supersession import Statement, Supersession, plan_supersessions
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import JSON, Action, MemoryEntry, MemoryType, Namespace, UpkeepReport

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]
"""Called with (entries looked at, entries in all)."""

TIER = MemoryType.LONG_TERM
WATERMARK = "consolidated_through"
"""The catalog remembers up to which sequence was consolidated; if it is lost, all is looked at again."""
_SLICE = 200
"""New entries compared at a time; between slices the time limit is looked at and the watermark moved."""


class Upkeep:
    """Consolidation and pruning of one namespace.

    Args:
        runtime: The shared pieces.
        namespace: Whose.
    """

    def __init__(self, runtime: Runtime, namespace: Namespace) -> None:
        self._runtime = runtime
        self._namespace = namespace

    # --- letting go ----------------------------------------------------------------------------------------

    def prune(self, repository: Repository, tier: MemoryType, quota: int | None, *, dry_run: bool) -> UpkeepReport:
        """Hide what is least worth keeping; delete what has been hidden for the grace period."""
        now = self._runtime.now()
        with repository.lock:
            deleted = self._sweep(repository, now, dry_run=dry_run)
            entries = self._current(repository, tier, now)
            accesses = repository.accesses()
            derived = repository.read(lambda catalog: catalog.derivations())
            plan = plan_pruning(
                [_retainable(entry, accesses, derived) for entry in entries],
                now,
                self._runtime.config.retention,
                quota=quota,
            )
            by_id = {entry.id: entry for entry in entries}
            changes = [
                Change(by_id[i], {"expires_at": now}, f"{why.reason}, retention {why.retention:.3f}")
                for i, why in plan.pruned.items()
            ]
            operation = Operation("prune", now)
            if not dry_run:
                operation.apply(repository, changes)
        actions = tuple(Action("prune", change.entry.id, change.why) for change in changes)
        return UpkeepReport(operation.id if actions else None, actions, deleted=deleted, dry_run=dry_run)

    def _sweep(self, repository: Repository, now: datetime, *, dry_run: bool) -> int:
        """Delete entries whose time was up more than the grace period ago."""
        over = now - timedelta(days=self._runtime.config.grace_days)
        gone = repository.read(lambda catalog: catalog.expired(over))
        if gone and not dry_run:
            repository.remove(gone)
        return len(gone)

    # --- consolidating -------------------------------------------------------------------------------------

    def consolidate(
        self, repository: Repository, *, dry_run: bool, max_seconds: float | None, progress: Progress | None
    ) -> UpkeepReport:
        """Merge duplicates, supersede what is out of date, and summarise what was not, since the last time."""
        deadline = None if max_seconds is None else time.monotonic() + max_seconds
        operation = Operation("consolidate", self._runtime.now())
        with repository.lock:
            deleted = self._sweep(repository, operation.at, dry_run=dry_run)
        actions: list[Action] = []
        complete = True
        for new, done, total in self._slices(repository, whole=dry_run):
            if deadline is not None and time.monotonic() > deadline:
                complete = False
                break
            actions += self._consolidated(repository, operation, new, dry_run=dry_run)
            if progress is not None:
                progress(done, total)
        errors = () if dry_run else tuple(self._summarize_rest(repository))
        return UpkeepReport(
            operation.id if actions else None, tuple(actions), deleted, dry_run, complete=complete, errors=errors
        )

    def _slices(self, repository: Repository, *, whole: bool) -> Iterator[tuple[set[str], int, int]]:
        """Ids of what is new, a slice at a time, with how many are done then and how many there are."""
        since = int(repository.read(lambda catalog: catalog.meta(WATERMARK)) or 0)
        entries = [e for e in self._current(repository, TIER, self._runtime.now()) if e.sequence > since]
        entries.sort(key=lambda entry: entry.sequence)
        size = max(1, len(entries)) if whole else _SLICE
        for start in range(0, len(entries), size):
            part = entries[start : start + size]
            yield {entry.id for entry in part}, start + len(part), len(entries)
            if not whole:
                through = str(part[-1].sequence)
                repository.read(lambda catalog, value=through: catalog.set_meta(WATERMARK, value))  # type: ignore[misc]

    def _consolidated(
        self, repository: Repository, operation: Operation, new: set[str], *, dry_run: bool
    ) -> list[Action]:
        with repository.lock:
            entries = {e.id: e for e in self._current(repository, TIER, operation.at)}
            merges = self._merges(repository, list(entries.values()), new)
            gone = {i for merge in merges for i in merge.drop}
            plans = self._supersessions([e for e in entries.values() if e.id not in gone], new)
            changes = [change for merge in merges for change in _merged(merge, entries)]
            changes += [_superseded(plan, entries) for plan in plans if not _linked(plan, entries)]
            if not dry_run:
                operation.apply(repository, _once_each(changes))
        actions = [Action("merge", i, merge.reason, merge.keep) for merge in merges for i in merge.drop]
        actions += [
            Action("supersede" if p.complete else "link", p.old, f"{p.reason}: {p.attribute}", p.new)
            for p in plans
            if not _linked(p, entries)
        ]
        return actions

    def _merges(self, repository: Repository, entries: Sequence[MemoryEntry], new: set[str]) -> list[Merge]:
        """Duplicates among what was told us; messages are a record of what was said and stay as they are."""
        facts = [entry for entry in entries if entry.kind != MESSAGE and entry.found_by != ()]
        if not any(entry.id in new for entry in facts):
            return []
        vectors = repository.read(lambda catalog: catalog.vectors([entry.id for entry in facts]))
        records = [
            Record(
                id=e.id,
                text=e.content,
                timestamp=e.timestamp,
                speaker=e.speaker,
                source=e.source,
                importance=e.importance_score,
                pinned=e.pinned,
                derived_from=e.derived_from,
            )
            for e in facts
        ]
        return plan_merges(records, vectors, self._runtime.config.dedupe, changed=new)

    def _supersessions(self, entries: Sequence[MemoryEntry], new: set[str]) -> list[Supersession]:
        statements = [
            Statement(
                id=e.id,
                text=e.content,
                timestamp=e.timestamp,
                sequence=e.sequence,
                speaker=e.speaker or _role(e),
                subject=_subject(e),
                source=e.source,
            )
            for e in entries
        ]
        return plan_supersessions(statements, self._runtime.config.supersession, changed=new)

    def _current(self, repository: Repository, tier: MemoryType, now: datetime) -> list[MemoryEntry]:
        return repository.read(lambda catalog: catalog.listed(Selection((tier,), now), limit=None))

    def _summarize_rest(self, repository: Repository) -> Iterator[str]:
        """Summaries that are missing because a summarizer failed when it was their turn."""
        for conversation in repository.read(lambda catalog: catalog.conversations()):
            try:
                Summaries(self._runtime, self._namespace, conversation).extend(repository)
            except MemoryMgrError as error:
                log.warning("conversation %r is not summarised: %s", conversation, error)
                yield f"{conversation}: {error}"


def look_again(repository: Repository, sequence: int) -> None:
    """Entries from this sequence on are new, whatever was consolidated before."""
    through = int(repository.read(lambda catalog: catalog.meta(WATERMARK)) or 0)
    if sequence <= through:
        repository.read(lambda catalog: catalog.set_meta(WATERMARK, str(sequence - 1)))


def _retainable(entry: MemoryEntry, accesses: dict[str, tuple[int, datetime]], derived: dict[str, int]) -> Retainable:
    times, last = accesses.get(entry.id, (0, None))
    return Retainable(
        id=entry.id,
        timestamp=entry.timestamp,
        importance=entry.importance_score,
        accesses=times,
        last_access=last,
        derived=derived.get(entry.id, 0),
        expires_at=entry.expires_at,
        pinned=entry.pinned,
    )


def _merged(merge: Merge, entries: dict[str, MemoryEntry]) -> Iterator[Change]:
    """The richest entry takes over the provenance of the others, which then point to it."""
    seen: dict[str, JSON] = {
        "sources": list(merge.sources),
        "first_seen": merge.first_seen.isoformat(),
        "last_seen": merge.last_seen.isoformat(),
    }
    kept: dict[str, object] = {
        "importance_score": merge.importance,
        "derived_from": merge.derived_from,
        "pinned": merge.pinned,
        "details": {"merged": seen},
    }
    yield Change(entries[merge.keep], kept, f"{merge.reason} duplicates merged into it")
    for dropped in merge.drop:
        yield Change(entries[dropped], {"superseded_by": merge.keep}, f"{merge.reason} duplicate")


def _superseded(plan: Supersession, entries: dict[str, MemoryEntry]) -> Change:
    why = f"{plan.reason}: {plan.attribute} was {plan.old_value!r}, now {plan.new_value!r}"
    fields = {"superseded_by": plan.new} if plan.complete else {"details": {"updated_by": plan.new}}
    return Change(entries[plan.old], fields, why)


def _linked(plan: Supersession, entries: dict[str, MemoryEntry]) -> bool:
    return not plan.complete and entries[plan.old].details.get("updated_by") == plan.new


def _once_each(changes: Sequence[Change]) -> list[Change]:
    """One change an entry: an entry that others were merged into may be superseded in the same go."""
    combined: dict[str, Change] = {}
    for change in changes:
        first = combined.get(change.entry.id)
        if first is not None:
            details = first.fields.get("details", {}) | change.fields.get("details", {})
            fields = first.fields | change.fields | ({"details": details} if details else {})
            combined[change.entry.id] = Change(change.entry, fields, f"{first.why}; {change.why}")
        else:
            combined[change.entry.id] = change
    return list(combined.values())


def _role(entry: MemoryEntry) -> str | None:
    role = entry.details.get("role")
    return role if isinstance(role, str) else None


def _subject(entry: MemoryEntry) -> str | None:
    subject = entry.metadata.get("subject")
    return subject if isinstance(subject, str) else None
