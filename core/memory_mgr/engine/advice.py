"""What a language model adds when a namespace is consolidated: importance, and what is out of date.

It is shown what is new with what is near it, and may only say of these which is important and which older one is out
of date. Entries that people told us are hidden then (and found by `history` and `undo`); messages, which are a record
of what was said, and what is believed more than what would replace it, are only linked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from memory_mgr.defaults.judge import ModelJudge
from memory_mgr.engine.drafts import GIVEN
from memory_mgr.engine.messages import MESSAGE
from memory_mgr.engine.operations import Change
from memory_mgr.engine.plans import Entries, replaced
from memory_mgr.stores.repository import Repository
from memory_mgr.types import MemoryEntry, MemoryType

T = TypeVar("T")
_NEAR = 5
"""Earlier entries shown with a new one."""
_LEAST_COSINE = 0.4
"""Below, two texts are hardly about the same thing (MiniLM)."""
_WORTH_ASKING = 0.4
"""Importance by the heuristic below which an entry states nothing that could replace something."""


class Advice:
    """Asks the model about entries of one namespace.

    Args:
        judge: Asks it.
        batch: Entries in one question; >= 1.
        repository: The namespace, open.
        current: The entries with some ids that are current.
    """

    def __init__(
        self,
        judge: ModelJudge,
        batch: int,
        repository: Repository,
        current: Callable[[Sequence[str]], Entries],
    ) -> None:
        self._judge = judge
        self._batch = batch
        self._repository = repository
        self._current = current

    def changes(self, new: Entries) -> list[Change]:
        """What the model would change, of entries that are new.

        Raises:
            ExtensionError: The model failed, hung, or gave no answer that is of use.
        """
        asked = list(new.values())
        return [*self._importance(asked), *self._outdated(asked)]

    def _importance(self, asked: Sequence[MemoryEntry]) -> Iterator[Change]:
        unscored = [entry for entry in asked if not entry.details.get(GIVEN)]
        for group in _batches(unscored, self._batch):
            for place, score in self._judge.importance([_said(entry) for entry in group]).items():
                entry = group[place]
                fields = {"importance_score": score, "details": {"scored_by": "model"}}
                yield Change(entry, fields, f"importance {entry.importance_score:.2f} to {score:.2f}", "score")

    def _outdated(self, asked: Sequence[MemoryEntry]) -> Iterator[Change]:
        worth = [entry for entry in asked if entry.importance_score >= _WORTH_ASKING]
        pairs = [(entry, older) for entry in worth if (older := self._earlier(entry))]
        hidden: set[str] = set()
        for group in _batches(pairs, self._batch):
            shown = [(_said(new), [_said(old) for old in olds]) for new, olds in group]
            for verdict in self._judge.outdated(shown):
                new, olds = group[verdict.new]
                old = olds[verdict.old]
                if old.id in hidden or new.id in hidden:
                    continue
                hide = old.kind != MESSAGE and not old.pinned and new.trust >= old.trust
                hidden |= {old.id} if hide else set()
                yield from replaced(old, new, f"the model says it {verdict.relation} this: {verdict.reason}", hide=hide)

    def _earlier(self, entry: MemoryEntry) -> list[MemoryEntry]:
        """What was said before and is near in meaning, by the same speaker."""
        tier, store = MemoryType.LONG_TERM, self._repository.store
        vector = self._repository.vectors([entry]).get(entry.id)
        if vector is None:
            return []
        near = store.query(self._repository.namespace, tier, vector, 2 * _NEAR)
        entries = self._current([i for i, cosine in near if cosine >= _LEAST_COSINE])
        found = [entries[i] for i, _ in near if i in entries]
        return [
            old
            for old in found
            if old.id != entry.id
            and old.speaker == entry.speaker
            and (old.timestamp, old.sequence) < (entry.timestamp, entry.sequence)
            and old.details.get("updated_by") != entry.id
        ][:_NEAR]


def _said(entry: MemoryEntry) -> str:
    return f"{entry.speaker}: {entry.content}" if entry.speaker else entry.content


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
