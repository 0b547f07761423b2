"""Entries in Chroma: one collection per namespace and tier. Only the `chroma` modules import chromadb."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
from chromadb.api import ClientAPI
from chromadb.api.collection_configuration import CreateCollectionConfiguration, CreateHNSWConfiguration
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError
from numpy.typing import NDArray

from memory_mgr.errors import EmbeddingMismatchError, SchemaVersionError, StoreError
from memory_mgr.policy.retry import RetryConfig
from memory_mgr.protocols import Vectors
from memory_mgr.stores import chroma_compaction
from memory_mgr.stores import schema as schemas
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.chroma_connection import ChromaConnection, Clients
from memory_mgr.stores.chroma_entries import embedded_anew, entries_of, metadata_of, scanned
from memory_mgr.stores.chroma_records import ChromaRecords
from memory_mgr.stores.passages import Embed
from memory_mgr.stores.scanned import Scanned
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

T = TypeVar("T")
_SYNC_THRESHOLD = 250
"""Writes after which embedded Chroma saves its vector index. With every write it reads again all that came since, so
that its own 1,000 makes a single add twice as dear (chromadb 1.5.9, up to 10,000 entries; the same at 40,000)."""
_HANDLES = 256
"""Collections whose handles are remembered."""


def collection_name(namespace: Namespace, tier: MemoryType) -> str:
    """A name that two different (namespace, tier) pairs never share: a digest, so that any label will do."""
    digest = hashlib.sha256(json.dumps(namespace).encode()).hexdigest()[:40]
    return f"{tier.value}-{digest}"


def journal_name(namespace: Namespace) -> str:
    """The collection of a namespace's journal."""
    return "journal-" + collection_name(namespace, MemoryType.LONG_TERM).rpartition("-")[2]


class ChromaStore:
    """See `stores.base.VectorStore`. Thread-safe.

    Args:
        clients: Have the chromadb client.
        space: The embedder whose vectors are stored.
        retry: How often a call is made again when the store is unavailable; every one may be, as writes are by id.
        before_writing: Raises if nothing can be written at the moment.
        after_writing: Told how many entries were written.
        on_close: Lets go of the client.
        shared: Other processes may write to the same namespaces.
        on_scrub: Removes the bytes of what was dropped.
        embed: Embeds texts again whose vectors a damaged index lost.
    """

    def __init__(
        self,
        clients: Clients,
        space: EmbeddingSpace | None,
        retry: RetryConfig | None = None,
        before_writing: Callable[[], None] = lambda: None,
        after_writing: Callable[[int], None] = lambda entries: None,
        on_close: Callable[[], None] = lambda: None,
        *,
        shared: bool = False,
        on_scrub: Callable[[], None] = lambda: None,
        embed: Embed | None = None,
    ) -> None:
        vectors_of = None if embed is None else partial(embedded_anew, embed=embed)
        self._connection = ChromaConnection(clients, retry or RetryConfig(attempts=1), vectors_of)
        self._space = space
        self._before_writing = before_writing
        self._after_writing = after_writing
        self._on_close = on_close
        self._shared = shared
        self._on_scrub = on_scrub
        self._lock = threading.Lock()
        self._replacing = threading.RLock()
        """Held while a collection is looked for or made anew, so that nobody finds it missing in between."""
        self._handles: OrderedDict[str, Collection] = OrderedDict()
        self._handled_by: ClientAPI | None = None

    def connect(self) -> None:
        """Connect now rather than at the first use, without a second attempt.

        Raises:
            StoreUnavailableError: The store cannot be reached.
        """
        self._connection.open()

    @property
    def session(self) -> str | None:
        """A name for the time in which nobody else can write here; None if others can."""
        return self._connection.session

    # --- collections ---------------------------------------------------------------------------------------

    def _collection(self, namespace: Namespace, tier: MemoryType, *, create: bool = False) -> Collection | None:
        name = collection_name(namespace, tier)
        with self._lock:
            known = self._known_handle(name)
            if known is not None:
                return known
        with self._replacing:
            try:
                found = self._existing(name)
            except NotFoundError:
                if not create:
                    return None
                found = self._create(name, namespace, tier)
        self._check(found, namespace)
        with self._lock:
            self._handles[name] = found
            while len(self._handles) > _HANDLES:
                self._handles.popitem(last=False)
        return found

    def _known_handle(self, name: str) -> Collection | None:
        """A remembered handle; those of a client that is gone are forgotten."""
        if self._handled_by is not self._connection.client:
            self._handled_by = self._connection.client
            self._handles.clear()
        if name in self._handles:
            self._handles.move_to_end(name)
        return self._handles.get(name)

    def _existing(self, name: str) -> Collection:
        if self._shared:
            return self._connection.client.get_collection(name, embedding_function=None)
        return chroma_compaction.existing(self._connection.client, name)

    def _create(self, name: str, namespace: Namespace, tier: MemoryType) -> Collection:
        if self._space is None:
            raise StoreError("this store was opened without an embedder, for reading only")
        return self._connection.client.get_or_create_collection(
            name,
            embedding_function=None,
            configuration=self._configuration(),
            metadata={
                "memory_mgr_schema": schemas.SCHEMA_VERSION,
                "namespace": json.dumps(namespace, ensure_ascii=False),
                "tier": tier.value,
                "embedder": self._space.embedder,
                "dimensions": self._space.dimensions,
            },
        )

    def _configuration(self) -> CreateCollectionConfiguration:
        hnsw: CreateHNSWConfiguration = {"space": "cosine"}
        if not self._shared:
            hnsw["sync_threshold"] = _SYNC_THRESHOLD
        return {"hnsw": hnsw}

    def _check(self, collection: Collection, namespace: Namespace) -> None:
        told = collection.metadata or {}
        schema = told.get("memory_mgr_schema", 0)
        if schema > schemas.SCHEMA_VERSION:
            raise SchemaVersionError(
                f"the store of namespace {'/'.join(namespace)!r} has schema {schema}, this version of memory-mgr reads "
                f"up to {schemas.SCHEMA_VERSION}; upgrade memory-mgr"
            )
        if schema < schemas.OLDEST_SCHEMA:
            raise SchemaVersionError(
                f"the store of namespace {'/'.join(namespace)!r} has schema {schema}, this version of memory-mgr "
                f"writes {schemas.SCHEMA_VERSION}; run `memory-mgr migrate` (it keeps a copy, and --dry-run only tells)"
            )
        if self._space is None:
            return
        written = EmbeddingSpace(str(told.get("embedder")), int(told.get("dimensions", 0)))
        if written != self._space:
            raise EmbeddingMismatchError(
                f"namespace {'/'.join(namespace)!r} was written with embedder {written.embedder!r} "
                f"({written.dimensions} dimensions), but {self._space.embedder!r} ({self._space.dimensions}) is "
                "configured; configure the former, or copy the store with `memory-mgr reembed` "
                "(`memory_mgr.reembed(source, target)`)"
            )

    def _ask(
        self, namespace: Namespace, tier: MemoryType, what: str, question: Callable[[Collection], T], empty: T
    ) -> T:
        """Ask a collection if it is there; a handle that another client made stale is looked up anew, once."""

        def ask() -> T:
            for _ in range(2):
                collection = self._collection(namespace, tier)
                if collection is None:
                    return empty
                try:
                    return question(collection)
                except NotFoundError:
                    self._forget_handle(namespace, tier)
            return empty

        return self._connection.ask(what, ask, collection_name(namespace, tier))

    def _forget_handle(self, namespace: Namespace, tier: MemoryType) -> None:
        with self._lock:
            self._handles.pop(collection_name(namespace, tier), None)

    # --- verbs ---------------------------------------------------------------------------------------------

    def upsert(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry], vectors: Vectors) -> None:
        """Write entries with their vectors; same ids are replaced."""
        self._before_writing()

        def write() -> None:
            try:
                self._upsert(namespace, tier, entries, vectors)
            except NotFoundError:
                self._forget_handle(namespace, tier)
                self._upsert(namespace, tier, entries, vectors)

        self._connection.ask("writing", write, collection_name(namespace, tier))
        self._after_writing(len(entries))

    def _upsert(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry], vectors: Vectors) -> None:
        collection = cast("Collection", self._collection(namespace, tier, create=True))
        for start in range(0, len(entries), self._connection.batch):
            part = entries[start : start + self._connection.batch]
            collection.upsert(
                ids=[e.id for e in part],
                embeddings=vectors[start : start + self._connection.batch],
                documents=[e.content for e in part],
                metadatas=metadata_of(collection, part),
            )

    def update(self, namespace: Namespace, tier: MemoryType, entries: Sequence[MemoryEntry]) -> None:
        """Rewrite all but the vectors of entries that are there."""
        self._before_writing()

        def rewrite(collection: Collection) -> None:
            for start in range(0, len(entries), self._connection.batch):
                part = entries[start : start + self._connection.batch]
                collection.update(ids=[e.id for e in part], metadatas=metadata_of(collection, part))

        self._ask(namespace, tier, "updating", rewrite, None)

    def get(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> list[MemoryEntry]:
        """The entries with these ids."""

        def read(collection: Collection) -> list[MemoryEntry]:
            return entries_of(collection.get(ids=list(ids), include=["documents", "metadatas"]), namespace, tier)

        nothing: list[MemoryEntry] = []
        found = {e.id: e for e in (self._ask(namespace, tier, "reading", read, nothing) if ids else nothing)}
        return [found[i] for i in ids if i in found]

    def vectors(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of these ids."""

        def read(collection: Collection) -> dict[str, NDArray[np.float32]]:
            result = collection.get(ids=list(ids), include=["embeddings"])
            return dict(zip(result["ids"], np.asarray(result["embeddings"], np.float32), strict=True))

        return self._ask(namespace, tier, "reading vectors", read, {}) if ids else {}

    def query(
        self, namespace: Namespace, tier: MemoryType, vector: NDArray[np.float32], top_k: int
    ) -> list[tuple[str, float]]:
        """The nearest entries with their cosine."""

        def search(collection: Collection) -> list[tuple[str, float]]:
            result = collection.query(query_embeddings=cast("Any", [vector]), n_results=top_k, include=["distances"])
            distances = result["distances"] or [[]]
            return [(i, 1.0 - d) for i, d in zip(result["ids"][0], distances[0], strict=True)]

        return self._ask(namespace, tier, "searching", search, [])

    def delete(self, namespace: Namespace, tier: MemoryType, ids: Sequence[str]) -> None:
        """Remove these ids."""

        def remove(collection: Collection) -> None:
            for start in range(0, len(ids), self._connection.batch):
                collection.delete(ids=list(ids[start : start + self._connection.batch]))

        if ids:
            self._ask(namespace, tier, "deleting", remove, None)

    def compact(self, namespace: Namespace, tier: MemoryType) -> None:
        """Free the room that deleted entries take in the index; a server is left to itself."""
        if self._shared:
            return
        self._before_writing()
        name = collection_name(namespace, tier)

        def compact() -> None:
            with self._replacing, suppress(NotFoundError):
                anew = chroma_compaction.compact(self._connection.client, name, self._configuration())
                self._connection.dropped()
                with self._lock:
                    self._handles[name] = anew

        self._connection.ask("compacting", compact, name)

    def count(self, namespace: Namespace, tier: MemoryType) -> int:
        """Entries of one tier."""
        return self._ask(namespace, tier, "counting", lambda collection: collection.count(), 0)

    def scan(
        self, namespace: Namespace, tier: MemoryType, *, with_vectors: bool, batch: int = 1000
    ) -> Iterator[Scanned]:
        """All entries in batches."""

        def ask(question: Callable[[Collection], Any], empty: Any) -> Any:
            return self._ask(namespace, tier, "scanning", question, empty)

        return scanned(ask, namespace, tier, with_vectors=with_vectors, batch=batch)

    def drop(self, namespace: Namespace) -> None:
        """Remove all tiers of a namespace."""

        def drop() -> None:
            for tier in MemoryType:
                self._forget_handle(namespace, tier)
                self._drop(collection_name(namespace, tier))
                if not self._shared:
                    chroma_compaction.drop_copy(self._connection.client, collection_name(namespace, tier))
            self._drop(journal_name(namespace))

        self._connection.ask("dropping a namespace", drop)

    def _drop(self, name: str) -> None:
        with suppress(NotFoundError):
            self._connection.client.delete_collection(name)

    def scrub(self) -> None:
        """Remove the bytes of what was dropped."""
        self._on_scrub()

    def namespaces(self) -> list[Namespace]:
        """Every namespace that has a collection."""
        found = self._connection.ask("listing namespaces", lambda: list(self._connection.client.list_collections()))
        told = [c.metadata or {} for c in found]
        return sorted({tuple(json.loads(t["namespace"])) for t in told if "memory_mgr_schema" in t})

    def records(self, namespace: Namespace) -> ChromaRecords | None:
        """The records of a namespace that its clients tell each other changes by; None if there is only one client."""
        if not self._shared:
            return None
        return ChromaRecords(self._connection, journal_name(namespace))

    def close(self) -> None:
        """Let go of the client."""
        with self._lock:
            self._handles.clear()
            on_close, self._on_close = self._on_close, lambda: None
        on_close()
