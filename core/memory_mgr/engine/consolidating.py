"""One run of consolidation.

It looks at what is new since the last run, a slice at a time, and remembers in the catalog how far it came: a run
that is cut short, by its time limit or by a crash, is gone on with by the next one, and doing a slice twice changes
nothing. What a model adds has a mark of its own, so that what it could not answer is asked again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from memory_mgr.engine.advice import Advice
from memory_mgr.engine.messages import MESSAGE
from memory_mgr.engine.operations import Change, Operation
from memory_mgr.engine.plans import (
    Entries,
    actions,
    believed,
    linked,
    merged,
    once_each,
    record,
    statement,
    superseded,
    told_in,
)
from memory_mgr.engine.related import comparable
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.summarizing import SUMMARY, Summaries
from memory_mgr.engine.windows import archive_over
from memory_mgr.errors import MemoryMgrError
from memory_mgr.policy.dedupe import plan_merges
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.policy.supersession import Supersession, plan_supersessions
from memory_mgr.protocols import Vectors
from memory_mgr.stores import marks
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.stores.statements import Statements
from memory_mgr.types import Action, MemoryEntry, MemoryType, Namespace, UpkeepReport

log = logging.getLogger(__name__)
T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with (entries looked at, entries in all)."""

TIER = MemoryType.LONG_TERM
_SLICE, _SLICES = 500, 10
"""New entries looked at together, or more where there would be more slices; between them the time limit is looked at
and the watermark moved. What a slice costs depends on how many facts there are rather than on its size."""


class Consolidation:
    """One run.

    Args:
        runtime: The shared pieces.
        namespace: Whose.
        repository: The namespace, open.
        dry_run: Change nothing.
        max_seconds: Stop after about this time; None = when done.
        stopped: Asked between slices; True = stop.
    """

    def __init__(
        self,
        runtime: Runtime,
        namespace: Namespace,
        repository: Repository,
        *,
        dry_run: bool,
        max_seconds: float | None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._runtime = runtime
        self._namespace = namespace
        self._repository = repository
        self._dry_run = dry_run
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds
        self._stopped = stopped
        self._operation = Operation("consolidate", runtime.now(), self._runtime.intake.actor)
        self._actions: list[Action] = []
        self._errors: list[str] = []
        self._complete = True
        self._changed = repository.read(marks.changed)

    def report(self, progress: Progress | None, *, deleted: int) -> UpkeepReport:
        """Do it, and say what was done."""
        if not self._dry_run:
            self._summarize_rest()
        self._look_through(marks.CONSOLIDATED, self._consolidated, progress)
        if self._runtime.judge is not None:
            advice = Advice(self._runtime.judge, self._runtime.config.model.batch, self._repository, self._by_ids)
            self._look_through(marks.ADVISED, advice.changes, None)
        if self._complete and not self._errors and not self._dry_run:
            self._repository.read(lambda catalog: marks.forget_changed(catalog, self._changed))
        return UpkeepReport(
            self._operation.id if self._actions else None,
            tuple(self._actions),
            deleted,
            self._dry_run,
            complete=self._complete,
            errors=tuple(self._errors),
        )

    def _over(self) -> bool:
        if self._stopped() or (self._deadline is not None and time.monotonic() > self._deadline):
            self._complete = False
        return not self._complete

    # --- what is new, slice by slice -----------------------------------------------------------------------

    def _look_through(self, mark: str, look: Callable[[Entries], Sequence[Change]], progress: Progress | None) -> None:
        """Make the changes that `look` finds for every slice of what is above the mark."""
        for new, done, total in self._slices(mark):
            if self._over():
                return
            try:
                self._apply(look(new))
            except MemoryMgrError as error:
                # The mark stays where it is, so that this slice is looked at again next time.
                log.warning("consolidating %s: %s", "/".join(self._namespace), error)
                self._errors.append(str(error))
                return
            if progress is not None:
                progress(done, total)

    def _slices(self, mark: str) -> Iterator[tuple[Entries, int, int]]:
        """What is new, with how many are done then and how many there are; the mark follows."""
        since = self._repository.read(lambda catalog: marks.through(catalog, mark))
        again = {i: entry for i, entry in self._by_ids(self._changed).items() if entry.sequence <= since}
        fresh = self._ask(lambda statements: statements.since(since))
        total = len(again) + len(fresh)
        if again:
            yield again, len(again), total
        size = max(1, len(fresh)) if self._dry_run else max(_SLICE, len(fresh) // _SLICES)
        for start in range(0, len(fresh), size):
            part = fresh[start : start + size]
            yield self._by_ids([memory_id for _, memory_id in part]), len(again) + start + len(part), total
            if not self._dry_run:
                self._move(mark, part[-1][0])

    def _move(self, mark: str, sequence: int) -> None:
        self._repository.read(lambda catalog: marks.move(catalog, mark, sequence))

    def _ask(self, question: Callable[[Statements], T]) -> T:
        return self._repository.read(lambda catalog: question(Statements(catalog, TIER, self._operation.at)))

    def _by_ids(self, ids: Iterable[str]) -> dict[str, MemoryEntry]:
        return {entry.id: entry for entry in self._ask(lambda statements: statements.by_ids(ids))}

    def _apply(self, changes: Sequence[Change]) -> None:
        if not self._dry_run:
            with self._repository.lock:
                self._operation.apply(self._repository, once_each(changes))
        self._actions += actions(changes)

    # --- without a model -----------------------------------------------------------------------------------

    def _consolidated(self, new: Entries) -> list[Change]:
        told = [entry for entry in new.values() if entry.kind != MESSAGE]
        facts = self._ask(Statements.facts) if told else []
        changes = list(self._merges(facts, set(new)))
        gone = {change.entry.id for change in changes if change.kind == "merge"}
        entries = {i: entry for i, entry in self._compared(new).items() if i not in gone}
        plans = self._supersessions(entries, set(new))
        changes += [change for p in plans if not linked(p, entries) for change in superseded(p, entries)]
        told = [entry for entry in told if entry.id not in gone]
        return [*changes, *told_in(told, self._summaries() if told else [])]

    def _compared(self, new: Entries) -> Entries:
        """What is new with what it may replace or be replaced by."""
        if self._dry_run:  # which notes nothing in the catalog
            return {entry.id: entry for entry in self._ask(Statements.all)}
        near = self._ask(lambda statements: comparable(statements, new.values(), self._runtime.config.supersession))
        return {**self._by_ids(near - new.keys()), **new}

    def _supersessions(self, entries: Entries, new: set[str]) -> Iterable[Supersession]:
        """What is out of date, told by what is believed no less: looked for at each level of trust and above.

        So that an untrusted statement between two of the user's does not keep the later from replacing the earlier.
        """
        plans: dict[str, Supersession] = {}
        for level in sorted({entry.trust for entry in entries.values()}):
            told = [statement(entry) for entry in entries.values() if entry.trust >= level]
            found = plan_supersessions(told, self._runtime.config.supersession, changed=new)
            for plan in (believed(plan, entries) for plan in found):
                if plan.old not in plans or plan.complete > plans[plan.old].complete:
                    plans[plan.old] = plan
        return plans.values()

    def _merges(self, facts: Sequence[MemoryEntry], new: set[str]) -> Iterator[Change]:
        """Duplicates among what was told us; messages are a record of what was said and stay as they are."""
        facts = [entry for entry in facts if entry.found_by != ()]
        if any(entry.id in new for entry in facts):
            records = [record(entry) for entry in facts]
            for merge in plan_merges(records, self._vectors(facts), self._runtime.config.dedupe, changed=new):
                yield from merged(merge, {entry.id: entry for entry in facts})

    def _vectors(self, entries: Sequence[MemoryEntry]) -> Vectors:
        found: Vectors = self._repository.read(lambda catalog: catalog.vectors([entry.id for entry in entries]))
        return np.asarray(found, np.float32)

    def _summaries(self) -> list[MemoryEntry]:
        """Those made of messages, not of other summaries."""
        own = Selection((MemoryType.EPISODIC,), self._operation.at, hidden=True)
        entries = self._repository.read(lambda catalog: catalog.listed(own, limit=None))
        return [entry for entry in entries if entry.kind == SUMMARY and entry.details.get("level") == 1]

    # --- conversations -------------------------------------------------------------------------------------

    def _summarize_rest(self) -> None:
        """Let turns leave that are too old for their windows, and make summaries that a failure left out."""
        idle = EvictionConfig(
            max_messages=None, max_tokens=None, max_age_seconds=self._runtime.config.short_term.max_age_seconds
        )
        for conversation in self._repository.read(lambda catalog: catalog.conversations()):
            if self._over():
                return
            try:
                if idle.max_age_seconds is not None:
                    archive_over(self._runtime, self._repository, conversation, idle)
                Summaries(self._runtime, self._namespace, conversation).extend(self._repository)
            except MemoryMgrError as error:
                log.warning("conversation %r is not summarised: %s", conversation, error)
                self._errors.append(f"{conversation}: {error}")


def look_again(repository: Repository, sequence: int) -> None:
    """Entries from this sequence on are new, whatever was looked at before."""
    for mark in (marks.CONSOLIDATED, marks.ADVISED):
        if sequence <= repository.read(lambda catalog, mark=mark: marks.through(catalog, mark)):  # type: ignore[misc]
            repository.read(lambda catalog, mark=mark: marks.move(catalog, mark, sequence - 1))  # type: ignore[misc]
