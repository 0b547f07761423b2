"""Entries written by id: what an id holds is replaced whole, in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import numpy as np

from memory_mgr.engine.drafts import draft
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.writing import found
from memory_mgr.errors import InvalidInputError
from memory_mgr.stores.marks import note_changed
from memory_mgr.stores.passages import document_vectors, following, with_passages
from memory_mgr.stores.repository import Repository
from memory_mgr.types import MemoryEntry, MemoryType, NewMemory


def put(
    runtime: Runtime, repository: Repository, tier: MemoryType, news: Sequence[NewMemory], ttl_seconds: float | None
) -> list[MemoryEntry]:
    """Store validated memories, in order; one whose id exists takes its place and keeps `created_at` and `sequence`.

    Args:
        runtime: The shared pieces.
        repository: The namespace.
        tier: Where.
        news: What, already checked; each with its own id.
        ttl_seconds: For those that name none; None = they stay.

    Raises:
        InvalidInputError: An id exists in another tier.
    """
    now = runtime.now()
    news = [runtime.intake.new(new) for new in news]
    scores = runtime.importance.of_new(news, tier, repository)
    namespace = repository.namespace
    drafts = [draft(new, namespace, tier, now, score, ttl_seconds) for new, score in zip(news, scores, strict=True)]
    split = [with_passages(entry) for entry in drafts]
    parts = [part for parts in split for part in parts]
    vectors = document_vectors(parts, lambda texts: runtime.embed(texts, "document"))
    with repository.lock:
        known = {e.id: e for e in repository.read(lambda catalog: catalog.by_ids([entry.id for entry in drafts]))}
        elsewhere = [entry for entry in known.values() if entry.memory_type is not tier]
        if elsewhere:
            raise InvalidInputError(
                f"id {elsewhere[0].id!r} exists in {elsewhere[0].memory_type.value}, not in {tier.value}; "
                "ids are unique in a namespace"
            )
        sequences = iter(repository.next_sequences(len(drafts) - len(known)))
        settled = [part for parts in split for part in _in_place(parts, known, sequences)]
        reworded = [e.id for e in drafts if e.id in known and known[e.id].content != e.content]
        old = repository.read(lambda catalog: catalog.passages(list(known)))
        repository.add(settled, vectors, replacing=old)
        repository.read(lambda catalog: note_changed(catalog, reworded))
    written = {entry.id: entry for entry in settled}
    return [written[entry.id] for entry in drafts]


def supersede(
    runtime: Runtime,
    repository: Repository,
    new: NewMemory,
    replaced: Sequence[str],
    ttl_seconds: float | None,
) -> MemoryEntry:
    """Store a validated memory and hide the entries it stands for from now on, in one write.

    Args:
        runtime: The shared pieces.
        repository: The namespace.
        new: What is so now; it goes into the tier of the first of `replaced`.
        replaced: Ids of what is no longer so; at least one, all of one tier.
        ttl_seconds: If `new` names none; None = it stays.

    Raises:
        MemoryNotFoundError: One of them is missing.
        InvalidInputError: One of them was superseded before.
    """
    tier = found(repository, replaced[:1])[0].memory_type
    new = runtime.intake.new(new)
    score = runtime.importance.of_new([new], tier, repository)[0]
    entry = draft(new, repository.namespace, tier, runtime.now(), score, ttl_seconds)
    parts = with_passages(entry)
    vectors = document_vectors(parts, lambda texts: runtime.embed(texts, "document"))
    with repository.lock:
        old = found(repository, replaced)
        for other in old:
            if other.superseded_by is not None:
                raise InvalidInputError(
                    f"memory {other.id!r} was superseded by {other.superseded_by!r} before; supersede that one"
                )
        hidden = [o.with_changes(superseded_by=entry.id, revision=o.revision + 1) for o in old]
        hidden += following(repository.passages(old), hidden)
        known = repository.vectors(hidden)
        sequences = repository.next_sequences(len(parts))
        parts = [part.with_changes(sequence=number) for part, number in zip(parts, sequences, strict=True)]
        repository.add([*parts, *hidden], np.concatenate([vectors, *(known[h.id][None] for h in hidden)]))
    return parts[0]


def _in_place(
    parts: Sequence[MemoryEntry], known: dict[str, MemoryEntry], sequences: Iterator[int]
) -> list[MemoryEntry]:
    """An entry and its passages in the place of the one they replace, or in a new one."""
    before = known.get(parts[0].id)
    if before is None:
        sequence = next(sequences)
        return [part.with_changes(sequence=sequence) for part in parts]
    place = {"created_at": before.created_at, "sequence": before.sequence, "revision": before.revision + 1}
    return [part.with_changes(**place) for part in parts]


def renew(runtime: Runtime, repository: Repository, ids: Sequence[str], ttl_seconds: float) -> int:
    """Let entries expire `ttl_seconds` from now; how many were there."""
    expires = runtime.now() + timedelta(seconds=ttl_seconds)
    with repository.lock:
        entries = repository.read(lambda catalog: catalog.by_ids(ids))
        if entries:
            repository.rewrite([e.with_changes(expires_at=expires, revision=e.revision + 1) for e in entries])
        return len(entries)
