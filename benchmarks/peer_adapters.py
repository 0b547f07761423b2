"""What the peers of a comparison have in common, and the two built on nothing but Chroma: ours and Chroma itself.

Every peer does the same work on the same vectors, the way its library is meant to be used. "tenant" is whose memory
it is, "source" which conversation. Only the peer that is asked for is imported.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

TOP_K = 10
CONTEXT_TOKENS = 1000
TOGETHER = 64
"""Callers at once."""


class Entry(NamedTuple):
    """What is remembered; `at` in seconds since 1970."""

    text: str
    tenant: str
    source: str
    at: int


class Wanted(NamedTuple):
    """Where to search: a tenant, and in it perhaps one conversation, or the time from `since` to before `until`."""

    tenant: str
    source: str | None = None
    since: int | None = None
    until: int | None = None

    def has(self, entry: Entry) -> bool:
        """Whether an entry is there."""
        return (
            entry.tenant == self.tenant
            and self.source in {None, entry.source}
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


Embed = Callable[[Sequence[str]], Any]
"""Texts to an array of vectors of length 384."""


class Peer:
    """One memory, in a folder of its own.

    Args:
        folder: Where it keeps what it keeps.
        embed: What makes its vectors.
    """

    persistent = True
    """Whether what is remembered outlives the process."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        raise NotImplementedError

    def load(self, entries: Sequence[Entry]) -> None:
        """Fill it, the fastest way there is, by a back door if need be."""
        raise NotImplementedError

    def batch(self, entries: Sequence[Entry]) -> None:
        """Add many by the fastest way that is documented for it."""
        self.load(entries)

    def add(self, entry: Entry) -> None:
        """Remember one thing, as an application does."""
        raise NotImplementedError

    async def add_async(self, entry: Entry) -> None:
        """The same while others add; in a thread for those that have no way of their own."""
        await asyncio.get_running_loop().run_in_executor(self.threads, self.add, entry)

    def search(self, query: str, wanted: Wanted) -> list[str]:
        """The texts of `TOP_K` results; NotImplementedError if it cannot search there."""
        raise NotImplementedError

    def context(self, query: str, tenant: str) -> str:
        """What goes into a prompt; NotImplementedError if it makes none."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of everything."""

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """For callers at once, if it is not asynchronous itself."""
        return ThreadPoolExecutor(TOGETHER)


def chroma_client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


def parts(entries: Sequence[Entry], size: int = 5000) -> Iterator[Sequence[Entry]]:
    """Slices that Chroma accepts in one call."""
    return (entries[start : start + size] for start in range(0, len(entries), size))


def metadata(entry: Entry) -> dict[str, Any]:
    return {"tenant": entry.tenant, "source": entry.source, "at": entry.at}


def where(wanted: Wanted) -> dict[str, Any]:
    """Chroma's filter on `metadata`."""
    clauses: list[dict[str, Any]] = [{"tenant": wanted.tenant}]
    if wanted.source is not None:
        clauses.append({"source": wanted.source})
    if wanted.since is not None:
        clauses += [{"at": {"$gte": wanted.since}}, {"at": {"$lt": wanted.until}}]
    return {"$and": clauses} if len(clauses) > 1 else clauses[0]


class Ours(Peer):
    """A namespace a tenant."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        from memory_mgr import MemoryConfig, MemoryManager, SyncMemoryManager

        class Embedder:
            name, dimensions = "benchmark", 384

            def embed(self, texts: Sequence[str], *, kind: str) -> Any:
                return embed(texts)

        config = MemoryConfig(path=folder, namespace="bench", embedder=Embedder(), embedding_cache=0)
        self._memory = SyncMemoryManager(config)
        self._async = MemoryManager.wrapping(self._memory)

    def load(self, entries: Sequence[Entry]) -> None:
        from memory_mgr import NewMemory

        tenants: dict[str, list[NewMemory]] = {}
        for entry in entries:
            new = NewMemory(content=entry.text, source=entry.source, timestamp=_moment(entry.at))
            tenants.setdefault(entry.tenant, []).append(new)
        for tenant, news in tenants.items():
            self._memory.scoped(tenant).add_memories(news, "long_term")

    def add(self, entry: Entry) -> None:
        memory = self._memory.scoped(entry.tenant)
        memory.add_memory(entry.text, "long_term", source=entry.source, timestamp=_moment(entry.at))

    async def add_async(self, entry: Entry) -> None:
        memory = self._async.scoped(entry.tenant)
        await memory.add_memory(entry.text, "long_term", source=entry.source, timestamp=_moment(entry.at))

    def search(self, query: str, wanted: Wanted) -> list[str]:
        filters: dict[str, Any] = {}
        if wanted.source is not None:
            filters["source"] = wanted.source
        if wanted.since is not None and wanted.until is not None:
            filters["timestamp"] = {"$gte": _moment(wanted.since), "$lt": _moment(wanted.until)}
        memory = self._memory.scoped(wanted.tenant)
        return [e.content for e in memory.search_memory(query, "long_term", TOP_K, filters or None)]

    def context(self, query: str, tenant: str) -> str:
        return self._memory.scoped(tenant).build_context(query, CONTEXT_TOKENS).text

    def close(self) -> None:
        self._memory.close()


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


class RawChroma(Peer):
    """One collection with a filter; `limit` is the same without one."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        self._embed = embed
        self._collection = chroma_client(folder).get_or_create_collection(
            "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def load(self, entries: Sequence[Entry]) -> None:
        for part in parts(entries):
            self._collection.add(
                ids=[str(uuid.uuid4()) for _ in part],
                embeddings=self._embed([e.text for e in part]),
                documents=[e.text for e in part],
                metadatas=[metadata(e) for e in part],
            )

    def add(self, entry: Entry) -> None:
        self.load([entry])

    def search(self, query: str, wanted: Wanted) -> list[str]:
        return self._query(query, where=where(wanted))

    def limit(self, query: str) -> list[str]:
        """Embed the query and ask for the nearest of all: what no search on Chroma can be faster than."""
        return self._query(query)

    def _query(self, query: str, **filters: Any) -> list[str]:
        found = self._collection.query(query_embeddings=self._embed([query]), n_results=TOP_K, **filters)
        return list((found["documents"] or [[]])[0])
