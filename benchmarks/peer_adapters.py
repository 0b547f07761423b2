"""What people use today, each behind the same few verbs, so that they do the same work on the same vectors.

Only the peer that is asked for is imported. "tenant" is whose memory it is, "source" which conversation: both are
used as each library means them to be (a namespace, a user id, a metadata filter).
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Entry(NamedTuple):
    text: str
    tenant: str
    source: str


Embed = Callable[[Sequence[str]], Any]
"""Texts to an array of vectors."""


class Peer(Protocol):
    def load(self, entries: Sequence[Entry]) -> None:
        """Fill it in bulk, the fastest way it has."""

    def add(self, entry: Entry) -> None:
        """Remember one thing, as an application does."""

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        """The texts of ten results."""

    def close(self) -> None: ...


def add_together(peer: Peer, entries: Sequence[Entry]) -> None:
    """Many callers at once."""
    with ThreadPoolExecutor(len(entries)) as callers:
        list(callers.map(peer.add, entries))


def chroma_client(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))


class Ours:
    """A namespace a tenant."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        from memory_mgr import MemoryConfig, SyncMemoryManager

        class Embedder:
            name, dimensions = "benchmark", 384

            def embed(self, texts: Sequence[str], *, kind: str) -> Any:
                return embed(texts)

        config = MemoryConfig(path=folder, namespace="bench", embedder=Embedder(), embedding_cache=0)
        self._memory = SyncMemoryManager(config)

    def load(self, entries: Sequence[Entry]) -> None:
        from memory_mgr import NewMemory

        tenants: dict[str, list[NewMemory]] = {}
        for entry in entries:
            tenants.setdefault(entry.tenant, []).append(NewMemory(content=entry.text, source=entry.source))
        for tenant, news in tenants.items():
            self._memory.scoped(tenant).add_memories(news, "long_term")

    def add(self, entry: Entry) -> None:
        self._memory.scoped(entry.tenant).add_memory(entry.text, "long_term", source=entry.source)

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        filters = None if source is None else {"source": source}
        return [e.content for e in self._memory.scoped(tenant).search_memory(query, "long_term", 10, filters)]

    def context(self, query: str, tenant: str) -> None:
        self._memory.scoped(tenant).build_context(query, 1000)

    def close(self) -> None:
        self._memory.close()


class RawChroma:
    """One collection with a filter; `limit` is the same without one."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        self._embed = embed
        self._collection = chroma_client(folder).get_or_create_collection(
            "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def load(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), 5000):
            part = entries[start : start + 5000]
            self._collection.add(
                ids=[str(uuid.uuid4()) for _ in part],
                embeddings=self._embed([e.text for e in part]),
                documents=[e.text for e in part],
                metadatas=[{"tenant": e.tenant, "source": e.source} for e in part],
            )

    def add(self, entry: Entry) -> None:
        self.load([entry])

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        where: dict[str, Any] = {"tenant": tenant}
        if source is not None:
            where = {"$and": [where, {"source": source}]}
        return self._query(query, where=where)

    def limit(self, query: str) -> list[str]:
        return self._query(query)

    def _query(self, query: str, **where: Any) -> list[str]:
        found = self._collection.query(query_embeddings=self._embed([query]), n_results=10, **where)
        return list((found["documents"] or [[]])[0])

    def close(self) -> None: ...


class Mem0:
    """infer=False, provider chroma, no network; the embedder is put in place of the configured one."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(folder / "mem0")
        from mem0 import Memory

        key = {"api_key": "unused"}
        self._memory = Memory.from_config(
            {
                "vector_store": {
                    "provider": "chroma",
                    "config": {"collection_name": "bench", "path": str(folder / "chroma")},
                },
                "embedder": {"provider": "openai", "config": key},
                "llm": {"provider": "openai", "config": key},
                "history_db_path": str(folder / "history.db"),
            }
        )

        class Embedder:
            config = self._memory.embedding_model.config

            def embed(self, text: str, memory_action: str | None = None) -> list[float]:
                return embed([text])[0].tolist()  # type: ignore[no-any-return]

            def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
                return embed(texts).tolist()  # type: ignore[no-any-return]

        self._memory.embedding_model = Embedder()
        self._embed = embed

    def load(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), 5000):
            part = entries[start : start + 5000]
            self._memory.vector_store.insert(
                vectors=self._embed([e.text for e in part]).tolist(),
                payloads=[{"data": e.text, "user_id": e.tenant, "run_id": e.source, "hash": "0"} for e in part],
                ids=[str(uuid.uuid4()) for _ in part],
            )

    def add(self, entry: Entry) -> None:
        self._memory.add(entry.text, user_id=entry.tenant, run_id=entry.source, infer=False)

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        filters = {"user_id": tenant} | ({} if source is None else {"run_id": source})
        found = self._memory.search(query, top_k=10, filters=filters, threshold=0.0)
        return [hit["memory"] for hit in found["results"]]

    def close(self) -> None: ...


class LangChainMemory:
    """VectorStoreRetrieverMemory on langchain-chroma."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        import warnings

        from langchain_chroma import Chroma
        from langchain_core.embeddings import Embeddings

        warnings.simplefilter("ignore")
        from langchain_classic.memory import VectorStoreRetrieverMemory

        class Embedder(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return embed(texts).tolist()  # type: ignore[no-any-return]

            def embed_query(self, text: str) -> list[float]:
                return embed([text])[0].tolist()  # type: ignore[no-any-return]

        self._store = Chroma("bench", Embedder(), client=chroma_client(folder))
        self._memory = VectorStoreRetrieverMemory

    def load(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), 5000):
            part = entries[start : start + 5000]
            self._store.add_texts([e.text for e in part], [{"tenant": e.tenant, "source": e.source} for e in part])

    def _retrieving(self, tenant: str, source: str | None) -> Any:
        where: dict[str, Any] = {"tenant": tenant}
        if source is not None:
            where = {"$and": [where, {"source": source}]}
        return self._memory(
            retriever=self._store.as_retriever(search_kwargs={"k": 10, "filter": where}), return_docs=True
        )

    def add(self, entry: Entry) -> None:
        self._retrieving(entry.tenant, None).save_context({"input": entry.text}, {"output": ""})

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        found = self._retrieving(tenant, source).load_memory_variables({"prompt": query})
        return [document.page_content for document in found["history"]]

    def close(self) -> None: ...


class LlamaIndexMemory:
    """VectorMemoryBlock on Chroma, its session the tenant; it has no second filter of its own."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        from llama_index.core.base.llms.types import ChatMessage
        from llama_index.core.embeddings import BaseEmbedding
        from llama_index.core.memory import VectorMemoryBlock
        from llama_index.core.schema import TextNode
        from llama_index.vector_stores.chroma import ChromaVectorStore

        class Embedder(BaseEmbedding):
            def _get_text_embedding(self, text: str) -> list[float]:
                return embed([text])[0].tolist()  # type: ignore[no-any-return]

            def _get_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

        self._node, self._message = TextNode, ChatMessage
        self._embed = embed
        self._store = ChromaVectorStore(chroma_collection=chroma_client(folder).get_or_create_collection("bench"))
        self._block = VectorMemoryBlock(vector_store=self._store, embed_model=Embedder(), similarity_top_k=10)

    def load(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), 5000):
            part = entries[start : start + 5000]
            vectors = self._embed([e.text for e in part]).tolist()
            self._store.add(
                [
                    self._node(text=e.text, metadata={"session_id": e.tenant}, embedding=v)
                    for e, v in zip(part, vectors, strict=True)
                ]
            )

    def add(self, entry: Entry) -> None:
        message = self._message(role="user", content=entry.text, additional_kwargs={"session_id": entry.tenant})
        asyncio.run(self._block.aput(messages=[message], session_id=entry.tenant))

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        if source is not None:
            raise NotImplementedError
        message = self._message(role="user", content=query)
        return [str(asyncio.run(self._block.aget(messages=[message], session_id=tenant)))]

    def close(self) -> None: ...


class LangGraphStore:
    """InMemoryStore or SqliteStore with an index, a namespace a tenant."""

    def __init__(self, folder: Path, embed: Embed, *, sqlite: bool = False) -> None:
        index: Any = {"dims": 384, "embed": lambda texts: embed(texts).tolist(), "fields": ["text"]}
        if sqlite:
            from langgraph.store.sqlite import SqliteStore

            self._context = SqliteStore.from_conn_string(str(folder / "store.sqlite"), index=index)
            self._store: Any = self._context.__enter__()
            self._store.setup()
        else:
            from langgraph.store.memory import InMemoryStore

            self._context = None
            self._store = InMemoryStore(index=index)

    def load(self, entries: Sequence[Entry]) -> None:
        from langgraph.store.base import PutOp

        for start in range(0, len(entries), 1000):
            self._store.batch(
                [
                    PutOp((e.tenant,), str(uuid.uuid4()), {"text": e.text, "source": e.source})
                    for e in entries[start : start + 1000]
                ]
            )

    def add(self, entry: Entry) -> None:
        self._store.put((entry.tenant,), str(uuid.uuid4()), {"text": entry.text, "source": entry.source})

    def search(self, query: str, tenant: str, source: str | None) -> list[str]:
        filters = None if source is None else {"source": source}
        found = self._store.search((tenant,), query=query, filter=filters, limit=10)
        return [item.value["text"] for item in found]

    def close(self) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)


PEERS: dict[str, tuple[str, Callable[[Path, Embed], Peer]]] = {
    "memory-mgr": ("ours", Ours),
    "raw Chroma": ("ours", RawChroma),
    "mem0": ("mem0", Mem0),
    "LangChain": ("langchain", LangChainMemory),
    "LlamaIndex": ("llamaindex", LlamaIndexMemory),
    "LangGraph InMemoryStore": ("langgraph", LangGraphStore),
    "LangGraph SqliteStore": ("langgraph", lambda folder, embed: LangGraphStore(folder, embed, sqlite=True)),
}
"""Name to (environment, how to open it)."""
