"""From one embedder to another: a store is copied, and every text is embedded anew on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.runtime import Runtime
from memory_mgr.errors import ConfigurationError
from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.opening import location, open_store
from memory_mgr.stores.passages import document_vectors, with_passages
from memory_mgr.stores.recovery import truth
from memory_mgr.stores.repository import Repository
from memory_mgr.types import PASSAGE, MemoryEntry, MemoryType, Namespace

_BATCH = 500
"""Entries embedded and written together."""


def reembed(source: MemoryConfig, target: MemoryConfig, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Copy all namespaces of a store to another one, with vectors of the other's embedder.

    The source is only read, so that an interrupted copy loses nothing; run again, it goes on where it stopped. Ids,
    times, tiers, history and order stay; access counts, which live in the catalog, do not. Nobody should write to
    the source meanwhile.

    Args:
        source: The store as it is; its `embedder` is not used.
        target: Where to, with the new `embedder`; a folder, database or server of its own.
        progress: Called with (entries done, entries in all).

    Returns:
        How many entries were written; those that were there already are not counted.

    Raises:
        ConfigurationError: Source and target are one, or the source keeps nothing.
        EmbeddingError: A text could not be embedded.
        StoreUnavailableError: One of the stores cannot be used.
    """
    if source.in_memory or location(source) == location(target):
        raise ConfigurationError("re-embedding copies a store to another place: give target a path or url of its own")
    store = open_store(source.replaced(read_only=True), None)
    try:
        runtime = Runtime(target)
        try:
            return _copied(store, runtime, progress)
        finally:
            runtime.close()
    finally:
        store.close()


def _copied(store: VectorStore, runtime: Runtime, progress: Callable[[int, int], None] | None) -> int:
    namespaces = store.namespaces()
    total = sum(store.count(namespace, tier) for namespace in namespaces for tier in MemoryType)
    written = done = 0
    for namespace in namespaces:
        with runtime.lease(namespace) as repository:
            for batch in _batches(store, namespace):
                written += _write(runtime, repository, [entry for entry in batch if entry.kind != PASSAGE])
                done += len(batch)
                if progress is not None:
                    progress(done, total)
    return written


def _batches(store: VectorStore, namespace: Namespace) -> Iterator[list[MemoryEntry]]:
    entries = truth(store, namespace)
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _write(runtime: Runtime, repository: Repository, entries: Sequence[MemoryEntry]) -> int:
    """Write those that are not there yet; how many."""
    known = {e.id: e for e in repository.read(lambda catalog: catalog.by_ids([e.id for e in entries]))}
    wanting = [e for e in entries if e.id not in known or known[e.id].revision < e.revision]
    parts = [part for entry in wanting for part in with_passages(entry)]
    if not parts:
        return 0
    vectors = document_vectors(parts, lambda texts: runtime.embed(texts, "document"))
    replaced = [e for e in known.values() if e.id in {w.id for w in wanting}]
    repository.skip_sequences(max(part.sequence for part in parts))
    repository.add(parts, vectors, replacing=repository.passages(replaced))
    return len(wanting)
