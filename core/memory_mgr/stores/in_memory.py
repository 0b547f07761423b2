"""The twin of the Chroma store that keeps everything in this process, for tests and for memory that is not kept."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from memory_mgr.errors import InvalidInputError
from memory_mgr.protocols import Vectors
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.codec import encode_entry
from memory_mgr.stores.scanned import Scanned
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

_Shelf = dict[str, tuple[MemoryEntry, NDArray[np.float32]]]


class InMemoryStore:
    """Exact search over plain dictionaries; see `stores.base.VectorStore`.

    Args:
        space: The embedder whose vectors it takes.
    """

    def __init__(self, space: EmbeddingSpace) -> None:
        self._space = space
        self._lock = threading.RLock()
        self._shelves: dict[tuple[Namespace, MemoryType], _Shelf] = defaultdict(dict)

    def upsert(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry], vectors: Vectors) -> None:
        """Write entries with their vectors; same ids are replaced."""
        if vectors.shape != (len(entries), self._space.dimensions):
            raise InvalidInputError(
                f"vectors have shape {vectors.shape}, expected {(len(entries), self._space.dimensions)}"
            )
        with self._lock:
            shelf = self._shelves[namespace, tier]
            shelf.update({e.id: (e, v.copy()) for e, v in zip(entries, vectors, strict=True)})

    def update(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry]) -> None:
        """Rewrite all but the vectors of entries that are there."""
        with self._lock:
            shelf = self._shelf(namespace, tier)
            shelf.update({e.id: (e, shelf[e.id][1]) for e in entries if e.id in shelf})

    def get(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> list[MemoryEntry]:
        """The entries with these ids."""
        with self._lock:
            shelf = self._shelf(namespace, tier)
            return [shelf[i][0] for i in ids if i in shelf]

    def vectors(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of these ids."""
        with self._lock:
            shelf = self._shelf(namespace, tier)
            return {i: shelf[i][1].copy() for i in ids if i in shelf}

    def query(
        self, namespace: Namespace, tier: MemoryType, vector: NDArray[np.float32], top_k: int
    ) -> list[tuple[str, float]]:
        """The nearest entries with their cosine."""
        with self._lock:
            shelf = self._shelf(namespace, tier)
            ids = list(shelf)
            if not ids:
                return []
            scores = np.stack([shelf[i][1] for i in ids]) @ vector
        best = np.argsort(-scores, kind="stable")[:top_k]
        return [(ids[i], float(scores[i])) for i in best]

    def delete(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> None:
        """Remove these ids."""
        with self._lock:
            shelf = self._shelf(namespace, tier)
            for i in ids:
                shelf.pop(i, None)

    def count(self, namespace: Namespace, tier: MemoryType) -> int:
        """Entries of one tier."""
        with self._lock:
            return len(self._shelf(namespace, tier))

    def scan(
        self, namespace: Namespace, tier: MemoryType, *, with_vectors: bool, batch: int = 1000
    ) -> Iterator[Scanned]:
        """All entries in batches."""
        with self._lock:
            items = list(self._shelf(namespace, tier).values())
        for start in range(0, len(items), batch):
            part = items[start : start + batch]
            yield Scanned(
                namespace,
                tier,
                [entry.id for entry, _ in part],
                [entry.content for entry, _ in part],
                [encode_entry(entry) for entry, _ in part],
                np.stack([vector for _, vector in part]) if with_vectors else None,
            )

    def compact(self, namespace: Namespace, tier: MemoryType) -> None:
        """Nothing to do: what is deleted is gone."""

    def drop(self, namespace: Namespace) -> None:
        """Remove all tiers of a namespace."""
        with self._lock:
            for tier in MemoryType:
                self._shelves.pop((namespace, tier), None)

    def scrub(self) -> None:
        """Nothing to do: what is dropped is gone."""

    def namespaces(self) -> list[Namespace]:
        """Every namespace that holds anything."""
        with self._lock:
            return sorted({namespace for (namespace, _), shelf in self._shelves.items() if shelf})

    @property
    def session(self) -> None:
        """Nothing is left in it to come back to."""

    def records(self, namespace: Namespace) -> None:
        """Nobody else can write here."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _shelf(self, namespace: Namespace, tier: MemoryType) -> _Shelf:
        return self._shelves.get((namespace, tier), {})
