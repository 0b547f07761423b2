"""Storing, changing, moving and deleting entries."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_mgr.engine.beside import Beside
from memory_mgr.engine.coalescing import Coalescer
from memory_mgr.engine.drafts import GIVEN, SCORED, draft
from memory_mgr.engine.intake import Intake
from memory_mgr.engine.messages import said
from memory_mgr.engine.pool import RepositoryPool
from memory_mgr.errors import InvalidInputError, MemoryNotFoundError
from memory_mgr.protocols import TextKind, Vectors
from memory_mgr.stores.marks import note_changed, note_late
from memory_mgr.stores.passages import PASSAGE_CHARACTERS, embedded_text, has_passages, text_vectors, with_passages
from memory_mgr.stores.repository import Repository
from memory_mgr.types import PASSAGE, MemoryEntry, MemoryType, Namespace, NewMemory

log = logging.getLogger(__name__)
Embed = Callable[[Sequence[str], TextKind], Vectors]
Score = Callable[[Namespace, Sequence[tuple[MemoryType, Sequence[NewMemory]]]], list[list[float]]]
"""Importance of what several callers add to a namespace, each to a tier of it."""
_MANY = 16
"""Entries of a batch that is judged while it is embedded."""


@dataclass(frozen=True, slots=True)
class _Addition:
    """What one caller wants stored.

    Attributes:
        namespace: Whose.
        tier: Where.
        news: What, as it will be stored.
        now: When the caller came.
        ttl_seconds: For those that name none; None = they stay.
        scores: Importance of each; None = it is yet to be told.
    """

    namespace: Namespace
    tier: MemoryType
    news: Sequence[NewMemory]
    now: datetime
    ttl_seconds: float | None
    scores: Sequence[float] | None

    @property
    def weight(self) -> int:
        """About as many entries as it becomes, passages of long texts included."""
        texts = (text for new in self.news for text in (new.content, *(new.found_by or ())))
        return sum(1 + len(text) // PASSAGE_CHARACTERS for text in texts)


_Outcome = list[MemoryEntry] | BaseException
"""What one caller's addition came to."""


class Writer:
    """Every write goes through here.

    Args:
        pool: Lends the namespaces.
        embed: Turns texts into unit vectors; called without any lock.
        score: Importance of new memories.
        now: Tells the time, in UTC.
        batch: Entries written together at most.
        intake: Prepares what is to be stored.
        beside: Where a batch is judged while it is embedded.
        stored: Told how many entries were stored in a namespace.
        score_apart: Scoring may take its time, so that each caller waits for their own and not for all.
    """

    def __init__(
        self,
        pool: RepositoryPool,
        embed: Embed,
        score: Score,
        now: Callable[[], datetime],
        batch: int,
        intake: Intake,
        beside: Beside,
        stored: Callable[[Namespace, int], None] = lambda namespace, count: None,
        *,
        score_apart: bool = False,
    ) -> None:
        self._pool = pool
        self._embed = embed
        self._score = score
        self._now = now
        self._intake = intake
        self._beside = beside
        self._stored = stored
        self._score_apart = score_apart
        self._additions: Coalescer[_Addition, list[MemoryEntry]] = Coalescer(
            self._add_together, lambda addition: addition.weight, batch
        )

    # --- adding --------------------------------------------------------------------------------------------

    def add(
        self, namespace: Namespace, tier: MemoryType, news: Sequence[NewMemory], ttl_seconds: float | None
    ) -> list[MemoryEntry]:
        """Store validated memories; returns when they are stored, in order.

        Args:
            namespace: Whose.
            tier: Where.
            news: What, already checked.
            ttl_seconds: For those that name none; None = they stay.

        Raises:
            InvalidInputError: An id exists already with other content or in another tier.
        """
        return self.begin_adding(namespace, tier, news, ttl_seconds)()

    def begin_adding(
        self, namespace: Namespace, tier: MemoryType, news: Sequence[NewMemory], ttl_seconds: float | None
    ) -> Callable[[], list[MemoryEntry]]:
        """As `add`, but returns when they are queued; what is returned waits until they are stored."""
        if not news:
            return list
        with self._additions.announced():
            result = self._additions.queue(self._addition(namespace, tier, news, ttl_seconds))

        def stored() -> list[MemoryEntry]:
            whole = [entry for entry in result() if entry.kind != PASSAGE]
            if whole[0].kind in SCORED:  # what is made of other entries, such as a summary, makes nothing due
                self._stored(namespace, len(whole))
            return whole

        return stored

    @property
    def prepares_slowly(self) -> bool:
        """What is plugged in is asked before a memory is queued; callers are better off in threads of their own."""
        return self._score_apart or self._intake.redacts

    def _addition(
        self, namespace: Namespace, tier: MemoryType, news: Sequence[NewMemory], ttl_seconds: float | None
    ) -> _Addition:
        """What a caller does alone: only it may wait for what is plugged in, or be refused."""
        now = self._now()
        news = [self._intake.signed(new) for new in news]
        scores = self._score(namespace, [(tier, news)])[0] if self._score_apart else None
        return _Addition(namespace, tier, news, now, ttl_seconds, scores)

    def _add_together(self, additions: list[_Addition]) -> Sequence[_Outcome]:
        try:
            texts = [_texts(addition) for addition in additions]
            sizes = [len(own) for own in texts]
            results, vectors = self._both_if_many(
                sum(sizes), lambda: self._drafted(additions), lambda: self._embedded(chain.from_iterable(texts))
            )
        except Exception as error:
            if len(additions) == 1:
                raise
            log.debug("embedding a batch failed (%s); trying its callers one by one", error)
            return [self._add_alone(addition) for addition in additions]
        drafts = {position: made for position, made in results.items() if isinstance(made, list)}
        for namespace, group in _grouped(additions, drafts, vectors, sizes).items():
            try:
                with self._pool.lease(namespace) as repository:
                    results |= _store(repository, group)
            except Exception as error:  # noqa: BLE001 - handed to the callers of this namespace only
                results |= {position: error for position, _, _ in group}
        return [results[position] for position in range(len(additions))]

    def _both_if_many(
        self, entries: int, drafted: Callable[[], dict[int, _Outcome]], embedded: Callable[[], Vectors]
    ) -> tuple[dict[int, _Outcome], Vectors]:
        """Both results; an embedder at work leaves the interpreter to others, but handing over takes a moment too."""
        return self._beside.both(drafted, embedded) if entries >= _MANY else (drafted(), embedded())

    def _add_alone(self, addition: _Addition) -> _Outcome:
        """What fails because of one caller fails for that caller only."""
        try:
            return self._add_together([addition])[0]
        except Exception as error:  # noqa: BLE001 - handed to that caller
            return error

    def _drafted(self, additions: Sequence[_Addition]) -> dict[int, _Outcome]:
        """The drafts of each addition by its position, or why there are none."""
        positions: dict[Namespace, list[int]] = defaultdict(list)
        for position, addition in enumerate(additions):
            positions[addition.namespace].append(position)
        results: dict[int, _Outcome] = {}
        for namespace, own in positions.items():
            results |= zip(own, self._drafted_in(namespace, [additions[position] for position in own]), strict=True)
        return results

    def _drafted_in(self, namespace: Namespace, additions: Sequence[_Addition]) -> Sequence[_Outcome]:
        unscored = [(addition.tier, addition.news) for addition in additions if addition.scores is None]
        try:
            told = iter(self._score(namespace, unscored) if unscored else ())
            return [_drafts(self._flagged(a), next(told) if a.scores is None else a.scores) for a in additions]
        except Exception as error:  # noqa: BLE001 - handed to those of these callers only that cause it
            if len(additions) == 1:
                return [error]
            log.debug("drafting a batch failed (%s); trying its callers one by one", error)
            return [outcome for addition in additions for outcome in self._drafted_in(namespace, [addition])]

    def _flagged(self, addition: _Addition) -> _Addition:
        return replace(addition, news=[self._intake.flagged(new) for new in addition.news])

    def _embedded(self, texts: Iterable[str | None]) -> Vectors:
        return text_vectors(list(texts), lambda found: self._embed(found, "document"))

    # --- changing ------------------------------------------------------------------------------------------

    def edit(self, repository: Repository, memory_id: str, changes: dict[str, Any]) -> MemoryEntry:
        """As `change`, on behalf of a caller: who changed what and when is noted with the entry."""
        return self.change(repository, memory_id, noted=True, **changes)

    def change(self, repository: Repository, memory_id: str, *, noted: bool = False, **changes: Any) -> MemoryEntry:
        """Change fields of one entry; a new text is embedded again. The entry as it is then.

        Raises:
            MemoryNotFoundError: There is no such entry.
        """
        entry = found(repository, [memory_id])[0]
        changes = self._intake.changes(entry, changes)
        while True:
            if noted:
                changes |= self._intake.noting(entry, changes, self._now())
            changed = _changed(entry, changes)
            same_text = changed.searchable_text == entry.searchable_text
            parts = [] if same_text else with_passages(changed)
            vectors = None if same_text else self._embedded(map(embedded_text, parts))
            with repository.lock:
                current = found(repository, [memory_id])[0]
                if current.revision != entry.revision and not same_text:
                    entry = current
                    continue
                changed = _changed(current, changes).with_changes(revision=current.revision + 1)
                if vectors is None:
                    changed = with_passages(changed)[0]
                    repository.rewrite([changed])
                    return changed
                return _rewritten(repository, current, parts, vectors)

    @staticmethod
    def move(repository: Repository, entries: Sequence[MemoryEntry], tier: MemoryType) -> list[MemoryEntry]:
        """Put entries into another tier, vectors and all; the entries as they are then."""
        with repository.lock:
            moved = [replace(e, memory_type=tier, revision=e.revision + 1, embedding=None) for e in entries]
            repository.move(moved, [e.memory_type for e in entries])
            if tier is MemoryType.LONG_TERM:
                repository.read(lambda catalog: note_late(catalog, moved))
            return moved


def _rewritten(
    repository: Repository, current: MemoryEntry, parts: Sequence[MemoryEntry], vectors: Vectors
) -> MemoryEntry:
    """Store an entry with its new text and passages in place of the old ones."""
    revision = current.revision + 1
    parts = [part.with_changes(revision=revision, sequence=current.sequence) for part in parts]
    old = repository.read(lambda catalog: catalog.passages([current.id])) if has_passages(current) else []
    repository.add(parts, vectors, replacing=old)
    repository.read(lambda catalog: note_changed(catalog, [current.id]))
    return parts[0]


def found(repository: Repository, ids: Sequence[str]) -> list[MemoryEntry]:
    """The entries with these ids, in order.

    Raises:
        MemoryNotFoundError: One is missing.
    """
    entries = repository.read(lambda catalog: catalog.by_ids(ids))
    missing = set(ids) - {entry.id for entry in entries}
    if missing:
        raise MemoryNotFoundError(min(missing), repository.namespace)
    return entries


def _changed(entry: MemoryEntry, changes: dict[str, Any]) -> MemoryEntry:
    details = changes.get("details", entry.details)
    given = {"details": {**details, GIVEN: True}} if "importance_score" in changes else {}
    return entry.with_changes(**(changes | given))


_Group = list[tuple[int, list[MemoryEntry], NDArray[np.float32]]]
"""(position of the addition in the batch, its entries, their vectors)."""


def _texts(addition: _Addition) -> list[str | None]:
    """What `_drafts` are found by; told before they are judged, and none of them kept meanwhile."""
    return [embedded_text(entry) for new in addition.news for entry in _parts(addition, new, 0.0)]


def _drafts(addition: _Addition, scores: Sequence[float]) -> list[MemoryEntry]:
    """What is to be stored: entries and the passages of long ones."""
    return [part for new, score in zip(addition.news, scores, strict=True) for part in _parts(addition, new, score)]


def _parts(addition: _Addition, new: NewMemory, score: float) -> list[MemoryEntry]:
    namespace, tier, now, ttl = addition.namespace, addition.tier, addition.now, addition.ttl_seconds
    return with_passages(draft(new, namespace, tier, now, score, ttl))


def _grouped(
    additions: Sequence[_Addition], drafts: dict[int, list[MemoryEntry]], vectors: Vectors, sizes: Sequence[int]
) -> dict[Namespace, _Group]:
    """The additions that were drafted, by namespace; `vectors` are those of all of them, so many each."""
    groups: dict[Namespace, _Group] = defaultdict(list)
    for position, (addition, end, size) in enumerate(zip(additions, accumulate(sizes), sizes, strict=True)):
        if position in drafts:
            groups[addition.namespace].append((position, drafts[position], vectors[end - size : end]))
    return groups


def _store(repository: Repository, group: _Group) -> dict[int, _Outcome]:
    """Write the additions to one namespace in one go; those whose ids clash get an error instead."""
    results: dict[int, _Outcome] = {}
    with repository.lock:
        ids = [entry.id for _, entries, _ in group for entry in entries]
        known = {entry.id: entry for entry in repository.read(lambda catalog: catalog.by_ids(ids))}
        fresh: list[MemoryEntry] = []
        rows: list[NDArray[np.float32]] = []
        for position, entries, vectors in group:
            try:
                stored = [_settled(entry, known) for entry in entries]
            except InvalidInputError as error:
                results[position] = error
                continue
            sequences = iter(repository.next_sequences(len(entries)))
            for row, entry in enumerate(entries):
                if entry.id not in known:
                    known[entry.id] = stored[row] = entry.with_changes(sequence=next(sequences))
                    fresh.append(stored[row])
                    rows.append(vectors[row])
            results[position] = [known[entry.id] for entry in entries]
        if fresh:
            repository.add(fresh, np.stack(rows))
    return results


def _settled(entry: MemoryEntry, known: dict[str, MemoryEntry]) -> MemoryEntry:
    """The stored entry of that id if it says the same, `entry` itself if the id is new."""
    other = known.get(entry.id)
    if other is None:
        return entry
    if said(other) != said(entry):
        raise InvalidInputError(
            f"id {entry.id!r} exists with other content; leave the id out for a new entry, "
            "or use update_memory or supersede_memory"
        )
    # A message that has moved on to long_term since is still the same message.
    if other.memory_type != entry.memory_type and not other.kind == entry.kind == "message":
        raise InvalidInputError(
            f"id {entry.id!r} exists in {other.memory_type.value}; "
            "leave the id out for a new one, or change that entry with update_memory"
        )
    return other
