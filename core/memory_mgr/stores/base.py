"""What a vector store must do: a few verbs, each on one (namespace, tier)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memory_mgr.protocols import Vectors
from memory_mgr.stores.journal import Records
from memory_mgr.stores.scanned import Scanned
from memory_mgr.types import MemoryEntry, MemoryType, Namespace


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """Which embedder wrote the vectors; stored with each collection and compared when it is opened."""

    embedder: str
    dimensions: int


class VectorStore(Protocol):
    """Keeps entries with their vectors. Thread-safe; every verb may raise `StoreError`."""

    @property
    def session(self) -> str | None:
        """A name for the time in which nobody else can write here, another each time; None if others can."""
        ...

    def upsert(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry], vectors: Vectors) -> None:
        """Write `entries` with `vectors` of shape (len(entries), dimensions); same ids are replaced.

        The collection is created on first use. All of one call or, after a crash, a prefix of it is stored.
        """
        ...

    def update(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry]) -> None:
        """Rewrite all but the vectors of entries that are there; unknown ids are ignored."""
        ...

    def get(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> list[MemoryEntry]:
        """The entries with these ids, in the order of `ids`; missing ones are left out."""
        ...

    def vectors(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of these ids; missing ones are left out."""
        ...

    def query(
        self, namespace: Namespace, tier: MemoryType, vector: NDArray[np.float32], top_k: int
    ) -> list[tuple[str, float]]:
        """Up to `top_k` (id, cosine similarity in [-1, 1]) pairs, best first; [] if there is no collection."""
        ...

    def delete(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> None:
        """Remove these ids; missing ones are ignored."""
        ...

    def count(self, namespace: Namespace, tier: MemoryType) -> int:
        """Entries of one tier, 0 if there is no collection."""
        ...

    def scan(
        self, namespace: Namespace, tier: MemoryType, *, with_vectors: bool, batch: int = 1000
    ) -> Iterator[Scanned]:
        """All entries in batches, in no particular order."""
        ...

    def compact(self, namespace: Namespace, tier: MemoryType) -> None:
        """Free the room that deleted entries of a tier still take; nobody else writes to it meanwhile."""
        ...

    def drop(self, namespace: Namespace) -> None:
        """Remove all tiers of a namespace; one that is not there is ignored."""
        ...

    def scrub(self) -> None:
        """Remove the bytes of what was dropped, as far as they can be reached from here."""
        ...

    def namespaces(self) -> list[Namespace]:
        """Every namespace that has a collection, sorted."""
        ...

    def records(self, namespace: Namespace) -> Records | None:
        """Where the clients of a namespace tell each other what they change; None if there can be only one."""
        ...

    def close(self) -> None:
        """Let go of files and connections; twice does no harm."""
        ...
