"""mem0, LangChain, LlamaIndex and LangGraph behind the verbs of a peer."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peer_adapters import TOP_K, Embed, Entry, Peer, Wanted, chroma_client, metadata, parts, where


class Mem0(Peer):
    """infer=False, provider chroma, no network; the embedder is put in place of the configured one."""

    def __init__(self, folder: Path, embed: Embed) -> None:
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(folder / "mem0")
        from mem0 import AsyncMemory, Memory

        class Embedder:
            config: Any

            def embed(self, text: str, memory_action: str | None = None) -> list[float]:
                return embed([text])[0].tolist()  # type: ignore[no-any-return]

            def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
                return embed(texts).tolist()  # type: ignore[no-any-return]

        self._embed = embed
        self._memory, self._async = Memory.from_config(_mem0(folder)), AsyncMemory.from_config(_mem0(folder))
        Embedder.config = self._memory.embedding_model.config
        self._memory.embedding_model = self._async.embedding_model = Embedder()

    def load(self, entries: Sequence[Entry]) -> None:
        """Into its vector store, as `add` writes it there; without its history."""
        from mem0.utils.lemmatization import lemmatize_for_bm25

        for part in parts(entries):
            self._memory.vector_store.insert(
                vectors=self._embed([e.text for e in part]).tolist(),
                payloads=[
                    {"data": e.text, "user_id": e.tenant, "run_id": e.source, "at": e.at, "role": "user"}
                    | {"hash": "0" * 32, "created_at": "2026-01-01T00:00:00.000000+00:00"}
                    | {"text_lemmatized": lemmatize_for_bm25(e.text)}
                    for e in part
                ],
                ids=[str(uuid.uuid4()) for _ in part],
            )

    def batch(self, entries: Sequence[Entry]) -> None:
        """A list of messages a conversation, which `add` takes."""
        conversations: dict[tuple[str, str], list[dict[str, str]]] = {}
        for entry in entries:
            told = {"role": "user", "content": entry.text}
            conversations.setdefault((entry.tenant, entry.source), []).append(told)
        for (tenant, source), messages in conversations.items():
            self._memory.add(messages, user_id=tenant, run_id=source, infer=False)

    def add(self, entry: Entry) -> None:
        self._memory.add(entry.text, **_mem0_place(entry))

    async def add_async(self, entry: Entry) -> None:
        await self._async.add(entry.text, **_mem0_place(entry))

    def search(self, query: str, wanted: Wanted) -> list[str]:
        filters: dict[str, Any] = {"user_id": wanted.tenant}
        if wanted.source is not None:
            filters["run_id"] = wanted.source
        if wanted.since is not None:
            filters["at"] = {"gte": wanted.since, "lt": wanted.until}
        found = self._memory.search(query, top_k=TOP_K, filters=filters, threshold=0.0)
        return [hit["memory"] for hit in found["results"]]


def _mem0(folder: Path) -> dict[str, Any]:
    key = {"api_key": "unused"}
    store = {"collection_name": "bench", "path": str(folder / "chroma")}
    return {
        "vector_store": {"provider": "chroma", "config": store},
        "embedder": {"provider": "openai", "config": key},
        "llm": {"provider": "openai", "config": key},
        "history_db_path": str(folder / "history.db"),
    }


def _mem0_place(entry: Entry) -> dict[str, Any]:
    return {"user_id": entry.tenant, "run_id": entry.source, "metadata": {"at": entry.at}, "infer": False}


class LangChainMemory(Peer):
    """VectorStoreRetrieverMemory on langchain-chroma, one collection, filtered by the retriever.

    What `save_context` stores carries no metadata, so no filter finds it again. Here `_form_documents` is overridden
    to add them, which is the least an application with tenants has to do.
    """

    def __init__(self, folder: Path, embed: Embed) -> None:
        import warnings

        from langchain_chroma import Chroma
        from langchain_core.documents import Document
        from langchain_core.embeddings import Embeddings

        warnings.simplefilter("ignore")
        from langchain_classic.memory import VectorStoreRetrieverMemory

        class Embedder(Embeddings):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return embed(texts).tolist()  # type: ignore[no-any-return]

            def embed_query(self, text: str) -> list[float]:
                return embed([text])[0].tolist()  # type: ignore[no-any-return]

        class Memory(VectorStoreRetrieverMemory):  # type: ignore[misc]
            facts: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it

            def _form_documents(self, inputs: dict[str, Any], outputs: dict[str, str]) -> list[Document]:
                documents = super()._form_documents(inputs, outputs)
                return [Document(page_content=d.page_content, metadata=self.facts) for d in documents]

        self._store = Chroma("bench", Embedder(), client=chroma_client(folder))
        self._memory = Memory

    def load(self, entries: Sequence[Entry]) -> None:
        for part in parts(entries):
            self._store.add_texts([e.text for e in part], [metadata(e) for e in part])

    def add(self, entry: Entry) -> None:
        self._adding(entry).save_context({"input": entry.text}, {"output": ""})

    async def add_async(self, entry: Entry) -> None:
        await self._adding(entry).asave_context({"input": entry.text}, {"output": ""})

    def _adding(self, entry: Entry) -> Any:
        return self._memory(retriever=self._store.as_retriever(), facts=metadata(entry))

    def search(self, query: str, wanted: Wanted) -> list[str]:
        found = self._finding(wanted, return_docs=True).load_memory_variables({"prompt": query})
        return [document.page_content for document in found["history"]]

    def context(self, query: str, tenant: str) -> str:
        found = self._finding(Wanted(tenant), return_docs=False).load_memory_variables({"prompt": query})
        return str(found["history"])

    def _finding(self, wanted: Wanted, *, return_docs: bool) -> Any:
        retriever = self._store.as_retriever(search_kwargs={"k": TOP_K, "filter": where(wanted)})
        return self._memory(retriever=retriever, return_docs=return_docs)


class LlamaIndexMemory(Peer):
    """`Memory` with a VectorMemoryBlock on Chroma, its session the tenant; it has no second filter of its own.

    A block keeps the filter of the first session it was asked for, so every tenant has a block.
    """

    def __init__(self, folder: Path, embed: Embed) -> None:
        from llama_index.core.embeddings import BaseEmbedding
        from llama_index.core.memory import Memory, VectorMemoryBlock
        from llama_index.vector_stores.chroma import ChromaVectorStore

        class Embedder(BaseEmbedding):  # type: ignore[misc]
            def _get_text_embedding(self, text: str) -> list[float]:
                return embed([text])[0].tolist()  # type: ignore[no-any-return]

            def _get_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

        collection = chroma_client(folder).get_or_create_collection("bench", embedding_function=None)
        store = ChromaVectorStore(chroma_collection=collection)
        self._embed, self._store = embed, store
        self._new_block = lambda: VectorMemoryBlock(vector_store=store, embed_model=Embedder(), similarity_top_k=TOP_K)
        self._new_memory = Memory.from_defaults
        self._blocks: dict[str, Any] = {}
        self._memories: dict[str, Any] = {}
        self._loop = asyncio.Runner()

    def load(self, entries: Sequence[Entry]) -> None:
        from llama_index.core.schema import TextNode

        for part in parts(entries):
            vectors = self._embed([e.text for e in part]).tolist()
            self._store.add(
                [
                    TextNode(text=e.text, metadata={"session_id": e.tenant}, embedding=v)
                    for e, v in zip(part, vectors, strict=True)
                ]
            )

    def add(self, entry: Entry) -> None:
        self._loop.run(self.add_async(entry))

    async def add_async(self, entry: Entry) -> None:
        await self._block(entry.tenant).aput(messages=[_message(entry.text)], session_id=entry.tenant)

    def search(self, query: str, wanted: Wanted) -> list[str]:
        if wanted != Wanted(wanted.tenant):
            raise NotImplementedError
        found = self._block(wanted.tenant).aget(messages=[_message(query)], session_id=wanted.tenant)
        return self._loop.run(found).split("\n\n")  # type: ignore[no-any-return]

    def context(self, query: str, tenant: str) -> str:
        if tenant not in self._memories:
            self._memories[tenant] = self._new_memory(session_id=tenant, memory_blocks=[self._block(tenant)])
        messages = self._loop.run(self._memories[tenant].aget(input=query))
        return "\n".join(str(message.content) for message in messages)

    def _block(self, tenant: str) -> Any:
        if tenant not in self._blocks:
            self._blocks[tenant] = self._new_block()
        return self._blocks[tenant]

    def close(self) -> None:
        self._loop.close()


def _message(text: str) -> Any:
    from llama_index.core.base.llms.types import ChatMessage

    return ChatMessage(role="user", content=text)


class LangGraphStore(Peer):
    """InMemoryStore with an index, a namespace a tenant."""

    persistent = False

    def __init__(self, folder: Path, embed: Embed) -> None:
        from langgraph.store.memory import InMemoryStore

        self._store: Any = InMemoryStore(index=_index(embed))

    def load(self, entries: Sequence[Entry]) -> None:
        from langgraph.store.base import PutOp

        for part in parts(entries, 1000):
            self._store.batch([PutOp((e.tenant,), str(uuid.uuid4()), _value(e)) for e in part])

    def add(self, entry: Entry) -> None:
        self._store.put((entry.tenant,), str(uuid.uuid4()), _value(entry))

    async def add_async(self, entry: Entry) -> None:
        await self._store.aput((entry.tenant,), str(uuid.uuid4()), _value(entry))

    def search(self, query: str, wanted: Wanted) -> list[str]:
        filters: dict[str, Any] = {}
        if wanted.source is not None:
            filters["source"] = wanted.source
        if wanted.since is not None:
            filters["at"] = {"$gte": wanted.since, "$lt": wanted.until}
        found = self._store.search((wanted.tenant,), query=query, filter=filters or None, limit=TOP_K)
        return [item.value["text"] for item in found]


class LangGraphSqliteStore(LangGraphStore):
    """SqliteStore with an index, a namespace a tenant."""

    persistent = True

    def __init__(self, folder: Path, embed: Embed) -> None:
        _allow_extensions()
        from langgraph.store.sqlite import SqliteStore

        self._context = SqliteStore.from_conn_string(str(folder / "store.sqlite"), index=_index(embed))
        self._store = self._context.__enter__()
        self._store.setup()

    add_async = Peer.add_async
    """Its own async methods only raise."""

    def close(self) -> None:
        self._context.__exit__(None, None, None)


def _allow_extensions() -> None:
    """SqliteStore loads sqlite-vec; where Python was built without that, pysqlite3 stands in for its sqlite3."""
    import sqlite3

    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        import pysqlite3  # type: ignore[import-not-found]

        sys.modules["sqlite3"] = pysqlite3


def _index(embed: Embed) -> Any:
    return {"dims": 384, "embed": lambda texts: embed(texts).tolist(), "fields": ["text"]}


def _value(entry: Entry) -> dict[str, Any]:
    return {"text": entry.text, "source": entry.source, "at": entry.at}
