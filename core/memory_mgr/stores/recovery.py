"""After an interruption: which copy of an entry counts, and what is only left over from before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from memory_mgr.stores.ahead import ahead
from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.passages import is_part
from memory_mgr.stores.vector_cache import Quantized, quantized
from memory_mgr.types import PASSAGE, MemoryEntry, MemoryType, Namespace


def settle(store: VectorStore, catalog: Catalog, ids: Sequence[str], *, read_only: bool = False) -> None:
    """Bring the catalog to what Chroma says of entries that were changed, or whose change was never reported done.

    Args:
        store: Where the truth is.
        catalog: What to correct.
        ids: The entries.
        read_only: Leave what seems left over where it is: another client may be in the middle of writing it.
    """
    copies = [entry for tier in MemoryType for entry in store.get(catalog.namespace, tier, ids)]
    current, left_over = _sorted_out(copies, lambda missing: _wholes(store, catalog.namespace, missing))
    if not read_only:
        _delete(store, catalog.namespace, left_over)
    entries = [entry for entry in current if entry.id in set(ids)]
    for tier, group in by_tier(entries).items():
        found = store.vectors(catalog.namespace, tier, [e.id for e in group])
        there = [entry for entry in group if entry.id in found]
        catalog.apply(there, [found[e.id] for e in there])
    kept = {entry.id for entry in entries}
    catalog.apply(removed=[i for i in ids if i not in kept])


def truth(
    store: VectorStore, namespace: Namespace, report: Callable[[int], None], *, read_only: bool
) -> tuple[list[MemoryEntry], dict[str, Quantized]]:
    """Every entry of a namespace in order of time and the vectors by id, as small as the catalog keeps them.

    What is left over is deleted.

    Args:
        store: Where they are.
        namespace: Whose.
        report: Told how many were read so far.
        read_only: Leave what is left over where it is.
    """
    copies: list[MemoryEntry] = []
    vectors: dict[tuple[str, MemoryType], Quantized] = {}
    for tier in MemoryType:
        for batch, found in ahead(store.scan(namespace, tier, with_vectors=True)):
            copies += batch
            if found is not None:
                vectors.update(zip(((e.id, tier) for e in batch), quantized(found), strict=True))
            report(len(copies))
    current, left_over = _sorted_out(copies, lambda missing: [])
    if not read_only:
        _delete(store, namespace, left_over)
    current.sort(key=lambda e: (e.timestamp, e.sequence))
    return current, {e.id: vectors[e.id, e.memory_type] for e in current}


def by_tier(entries: Iterable[MemoryEntry]) -> dict[MemoryType, list[MemoryEntry]]:
    """Entries in groups of one tier, in order."""
    groups: dict[MemoryType, list[MemoryEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.memory_type].append(entry)
    return groups


def _sorted_out(
    copies: Iterable[MemoryEntry], look_up: Callable[[list[str]], list[MemoryEntry]]
) -> tuple[list[MemoryEntry], list[MemoryEntry]]:
    """The entries that count, and those that are left over.

    Of two copies the one of the higher revision counts; a passage counts as long as it is part of its whole: others
    are of a text that was replaced or deleted.
    """
    current: dict[str, MemoryEntry] = {}
    left_over: list[MemoryEntry] = []
    for entry in copies:
        other = current.get(entry.id)
        if other is None or entry.revision > other.revision:
            current[entry.id] = entry
            left_over += [other] if other else []
        else:
            left_over.append(entry)
    passages = [entry for entry in current.values() if entry.kind == PASSAGE]
    missing = {str(passage.details["whole"]) for passage in passages} - current.keys()
    wholes = current | {whole.id: whole for whole in look_up(sorted(missing))}
    for passage in passages:
        whole = wholes.get(str(passage.details["whole"]))
        if whole is None or not is_part(passage, whole):
            left_over.append(current.pop(passage.id))
    return list(current.values()), left_over


def _wholes(store: VectorStore, namespace: Namespace, ids: list[str]) -> list[MemoryEntry]:
    return [entry for tier in MemoryType for entry in store.get(namespace, tier, ids)] if ids else []


def _delete(store: VectorStore, namespace: Namespace, entries: Iterable[MemoryEntry]) -> None:
    for tier, group in by_tier(entries).items():
        store.delete(namespace, tier, [e.id for e in group])
