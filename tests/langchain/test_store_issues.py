"""Complaints about LangChain's and LangGraph's own histories, stores and tools, each answered by one test."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.store.base import SearchItem

from langchain_memory_mgr import (
    TieredChatMessageHistory,
    TieredMemoryRetriever,
    TieredMemoryStore,
    create_memory_tools,
)
from memory_mgr import InvalidFilterError, MemoryConfig, MemoryManager, ShortTermConfig, SyncMemoryManager
from memory_mgr.testing import FakeClock, FakeEmbedder


def test_deer_flow_1430_summarising_does_not_erase_the_transcript(tmp_path: Path) -> None:
    """bytedance/deer-flow#1430: the log is whole, whatever was archived and summarised behind it."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder(), short_term=ShortTermConfig(max_messages=2))
    with SyncMemoryManager(config) as memory:
        history = TieredChatMessageHistory("c", memory=memory)
        said = [kind(f"{n} is a number we spoke of") for n in range(6) for kind in (HumanMessage, AIMessage)]
        for message in said:
            history.add_message(message)
        assert memory.conversation("c").summaries()
        assert history.messages == said


def test_cve_2026_71433_a_prefix_ends_with_a_label(memory: SyncMemoryManager) -> None:
    """CVE-2026-71433, langgraph#8478, langgraphjs#2721: `acme` never reads, lists or deletes what is `acme-corp`'s."""
    store = TieredMemoryStore(memory=memory)
    for root in ("acme", "acme-corp", "acme%", "ACME", "acm_", "acme*"):
        store.put((root, "users"), "k", {"of": root})
    assert [item.value for item in store.search(("acme",))] == [{"of": "acme"}]
    assert [item.value for item in store.search(("acme",), query="of acme corp")] == [{"of": "acme"}]
    assert store.list_namespaces(prefix=("acme",)) == [("acme", "users")]
    assert store.forget(("acme",)) == 1
    assert len(store.list_namespaces()) == 5


def test_langchain_11650_users_are_not_mixed(memory: SyncMemoryManager) -> None:
    """langchain#11650, langserve#275: conversations of the same name belong to different users."""
    for user in ("ada", "bob"):
        TieredChatMessageHistory("default", user_id=user, memory=memory).add_user_message(f"I am {user}")
    found = [TieredChatMessageHistory("default", user_id=user, memory=memory).messages for user in ("ada", "bob")]
    assert found == [[HumanMessage("I am ada")], [HumanMessage("I am bob")]]
    retriever = TieredMemoryRetriever(memory=memory.scoped("ada"), tiers=None)
    assert [document.page_content for document in retriever.invoke("who am I")] == ["I am ada"]


def test_langgraph_3917_a_namespace_is_deleted_whole(memory: SyncMemoryManager) -> None:
    """langgraph#3917: with everything below it, vectors and expired items too, and nothing beside it."""
    store = TieredMemoryStore(memory=memory)
    for namespace in [("u", "ada"), ("u", "ada", "facts"), ("u", "bob")]:
        store.put(namespace, "k", {"text": "tea", "long": ["word " * 300]}, index=["text", "long[*]"])
    assert store.forget(("u", "ada")) == 2
    assert store.list_namespaces() == [("u", "bob")]
    assert [item.namespace for item in store.search((), query="tea")] == [("u", "bob")]


def test_mem0_3746_clearing_one_user_leaves_the_others(memory: SyncMemoryManager) -> None:
    """mem0#3746, langchain#5817: clearing deletes exactly its scope, and says how much it was."""
    for user in ("ada", "bob"):
        TieredChatMessageHistory("c", user_id=user, memory=memory).add_messages(
            [HumanMessage("hi"), AIMessage("hello")]
        )
    assert TieredChatMessageHistory("c", user_id="ada", memory=memory).delete() == 2
    assert len(TieredChatMessageHistory("c", user_id="bob", memory=memory).messages) == 2


def test_langchain_13876_what_a_tool_saves_can_be_filtered(memory: SyncMemoryManager) -> None:
    """langchain#13876: where a memory is from is kept with it, and found by it."""
    (save,) = create_memory_tools(memory=memory, user_key=None, actions=["save"])
    for thread in ("t1", "t2"):
        save.invoke({"content": f"Said in {thread}."}, {"configurable": {"thread_id": thread}})
    found = TieredMemoryRetriever(memory=memory).invoke("said in", filter={"source": "t2"})
    assert [document.page_content for document in found] == ["Said in t2."]


def test_langmem_180_an_update_keeps_when_it_was_created(tmp_path: Path, clock: FakeClock) -> None:
    """langmem#180: and a put is an update, not a second item."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder(), clock=clock)
    with TieredMemoryStore(config=config) as store:
        store.put(("u",), "k", {"v": 1})
        created = clock.now()
        clock.advance(3600)
        store.put(("u",), "k", {"v": 2})
        (item,) = store.search(("u",))
        assert (item.value, item.created_at, item.updated_at) == ({"v": 2}, created, clock.now())


def test_langgraph_8214_no_vector_outlives_its_text(memory: SyncMemoryManager) -> None:
    """langgraph#8214: putting with `index=False`, or with fewer fields, removes the vectors that were there."""
    store = TieredMemoryStore(memory=memory)

    def score() -> float | None:
        return store.search(("u",), query="red zebra")[0].score

    store.put(("u",), "k", {"a": "red zebra", "b": "tea"}, index=["a", "b"])
    assert (score() or 0) > 0.99
    store.put(("u",), "k", {"a": "red zebra", "b": "tea"}, index=["b"])
    assert (score() or 0) < 0.5
    store.put(("u",), "k", {"a": "red zebra"}, index=False)
    assert score() is None


def test_langgraph_8829_and_or_are_understood_or_refused(memory: SyncMemoryManager) -> None:
    """langgraph#8829: an operator is never silently without effect."""
    store = TieredMemoryStore(memory=memory)
    store.put(("u",), "k", {"a": 1})
    assert len(store.search(("u",), filter={"$or": [{"a": 1}, {"a": 2}]})) == 1
    assert store.search(("u",), filter={"$and": [{"a": 1}, {"a": 2}]}) == []
    with pytest.raises(InvalidFilterError):
        store.search(("u",), filter={"$xor": [{"a": 1}]})


def test_langgraph_8902_what_expired_is_not_returned(tmp_path: Path, clock: FakeClock) -> None:
    """langgraph#8902: by no read, though nobody has swept."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder(), clock=clock)
    with TieredMemoryStore(config=config, ttl={"default_ttl": 1, "omit_expired": True}) as store:
        store.put(("u",), "k", {"a": "b"})
        clock.advance(60)
        assert store.get(("u",), "k") is None
        assert store.search(("u",)) == store.search(("u",), query="b") == store.list_namespaces() == []


class SlowEmbedder(FakeEmbedder):
    """Takes its time, and notes in which threads it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def embed(self, texts: Any, *, kind: Any) -> Any:
        """Vectors, later."""
        self.threads.add(threading.get_ident())
        time.sleep(0.05)
        return super().embed(texts, kind=kind)


def test_langmem_66_nothing_blocks_the_event_loop(tmp_path: Path) -> None:
    """langmem#66: awaited calls embed, read and write in other threads; the loop goes on meanwhile."""
    embedder = SlowEmbedder()

    async def use() -> tuple[list[SearchItem], int]:
        async with MemoryManager(MemoryConfig(path=tmp_path, embedder=embedder)) as memory:
            store = TieredMemoryStore(memory=memory)
            search, save = create_memory_tools(memory=memory, user_key=None, actions=["search", "save"])
            history = TieredChatMessageHistory("c", memory=memory)
            await store.aput(("u",), "k", {"text": "tea"})
            embedder.threads.clear()
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.005)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            await save.ainvoke({"content": "Ada likes tea."})
            await search.ainvoke({"query": "tea"})
            await history.aadd_messages([HumanMessage("hi")])
            await TieredMemoryRetriever(memory=memory).ainvoke("coffee")
            found = await store.asearch(("u",), query="green tea")
            ticking.cancel()
            return found, ticks

    found, ticks = asyncio.run(use())
    assert [item.key for item in found] == ["k"]
    assert ticks >= 5
    assert embedder.threads
    assert threading.get_ident() not in embedder.threads


def test_langmem_37_a_store_works_outside_of_a_graph(memory: SyncMemoryManager) -> None:
    """langmem#37: store and tools are given their memory; no running graph is looked for."""
    (save,) = create_memory_tools(memory=memory, user_key=None, actions=["save"])
    assert str(save.invoke({"content": "Ada likes tea."})).startswith("created memory")
    store = TieredMemoryStore(memory=memory)
    store.put(("u",), "k", {})
    assert store.get(("u",), "k")


def test_langmem_14_what_was_returned_is_stored(tmp_path: Path) -> None:
    """langmem#14: no executor that silently does nothing: when a call returns, another process could read it."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder())
    store = TieredMemoryStore(config=config)
    asyncio.run(store.aput(("u",), "k", {"v": 1}))
    store.close()
    with TieredMemoryStore(config=config) as again:
        assert again.get(("u",), "k").value == {"v": 1}  # type: ignore[union-attr]


def test_langgraph_7272_ids_and_kwargs_are_not_stripped(memory: SyncMemoryManager) -> None:
    """langgraph#7272, langchain#22357, azure-sdk#47391: tool turns, ids, extra fields and images come back."""
    said = [
        HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}], id="h"),
        AIMessage("", id="a", tool_calls=[{"name": "t", "args": {}, "id": "c"}], additional_kwargs={"x": [1]}),
        ToolMessage("r", tool_call_id="c", id="t"),
    ]
    history = TieredChatMessageHistory("c", memory=memory)
    history.add_messages(said)
    assert history.messages == said
    assert [m.id for m in history.messages] == ["h", "a", "t"]


def test_langgraph_7427_whole_numbers_name_users(memory: SyncMemoryManager) -> None:
    """langgraph#7427: a database's user id is taken as it is."""
    (save,) = create_memory_tools(memory=memory, actions=["save"])
    save.invoke({"content": "Ada likes tea."}, {"configurable": {"user_id": 42}})
    TieredChatMessageHistory("c", user_id=42, memory=memory).add_user_message("hi")
    assert len(memory.scoped("42").list_memories()) == 2


def test_langmems_tools_find_what_they_need(memory: SyncMemoryManager) -> None:
    """The calls that langmem's `manage_memory` and `search_memory` make, with what they read from the answers."""
    store = TieredMemoryStore(memory=memory)
    namespace = ("memories", "ada")

    async def use() -> list[SearchItem]:
        await store.aput(namespace, key="id-1", value={"content": "Ada likes tea."})
        await store.aput(namespace, key="id-2", value={"content": {"food": "soup", "when": ["noon"]}})
        await store.aput(namespace, key="id-1", value={"content": "Ada likes coffee."})
        await store.adelete(namespace, key="id-2")
        return await store.asearch(namespace, query="what does Ada like", filter=None, limit=10, offset=0)

    (item,) = asyncio.run(use())
    assert item.dict()["value"] == {"content": "Ada likes coffee."}
    assert item.dict()["namespace"] == list(namespace)
    assert item.dict()["key"] == "id-1"
    assert item.score
