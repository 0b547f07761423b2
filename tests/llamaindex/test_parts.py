"""The parts beside `TieredMemory`: block, chat store, retriever, tools and bridges."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import MockEmbedding, Settings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.storage.chat_store.base_db import MessageStatus

from llamaindex_memory_mgr import (
    LLMImportanceScorer,
    TieredChatStore,
    TieredMemory,
    TieredMemoryBlock,
    TieredMemoryRetriever,
    TieredMemoryToolSpec,
    memory_config,
)
from memory_mgr import MemoryConfig, ScoringError, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

from .helpers import ScriptedLLM, assistant, contents, takes_chat_store, tool_round, user

# --- block -----------------------------------------------------------------------------------------------------------


def _stock(block: TieredMemoryBlock, elsewhere: SyncMemoryManager) -> Memory:
    """Over a store that closes what it opens; LlamaIndex's own SQL store leaves its connections to the collector."""
    return Memory.from_defaults(
        session_id="s",
        token_limit=200,
        token_flush_size=50,
        chat_history_token_ratio=0.7,
        memory_blocks=[block],
        chat_store=TieredChatStore(memory=elsewhere),
    )


@takes_chat_store
def test_the_block_keeps_what_the_stock_memory_evicts(store: SyncMemoryManager) -> None:
    """Every evicted message once, as it was, untouched; and it is told when asked for."""
    memory = _stock(TieredMemoryBlock(memory=store, max_tokens=100), store.scoped("stock"))
    memory.put_messages([user("My sister Helena keeps four alpacas."), assistant("How nice.")])
    for number in range(20):
        memory.put_messages([user(f"question {number} on subject {number}"), assistant(f"answer {number}")])
    active = len(asyncio.run(memory.aget_all(status=MessageStatus.ACTIVE)))
    kept = [entry.content for entry in store.conversation("s").entries()]
    assert len(kept) == len(set(kept)) == 42 - active
    assert all(not message.additional_kwargs for message in memory.get_all())
    got = memory.get("How many alpacas does Helena keep?")
    assert "four alpacas" in str(got[0].content)


def test_the_block_survives_a_store_that_fails(store: SyncMemoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not archive it archives with the next, in order; nothing is raised."""
    from memory_mgr import StoreUnavailableError, SyncConversationContext

    block = TieredMemoryBlock(memory=store)
    with monkeypatch.context() as broken:

        def fail(*args: Any, **kwargs: Any) -> None:
            raise StoreUnavailableError("down")

        broken.setattr(SyncConversationContext, "add_messages", fail)
        asyncio.run(block.aput([user("one")], from_short_term_memory=True, session_id="s"))
    asyncio.run(block.aput([user("two")], from_short_term_memory=True, session_id="s"))
    assert [entry.content for entry in store.conversation("s").entries()] == ["one", "two"]


def test_the_block_never_changes_or_shares_messages(store: SyncMemoryManager) -> None:
    """Other blocks get the same objects."""
    block, message = TieredMemoryBlock(memory=store), user("hello")
    before = copy.deepcopy(message)
    asyncio.run(block.aput([message], session_id="s"))
    assert message == before
    message.blocks.clear()
    assert [entry.content for entry in store.conversation("s").entries()] == ["hello"]


# --- chat store ------------------------------------------------------------------------------------------------------


def test_the_chat_store_does_what_it_says(store: SyncMemoryManager) -> None:
    """Every method of AsyncDBChatStore, on one key, and nothing on another."""

    async def use() -> None:
        chats = TieredChatStore(memory=store)
        await chats.set_messages("k", [user("a"), assistant("b")])
        await chats.add_message("k", user("c"))
        await chats.add_messages("k", tool_round("t", "out"))
        await chats.add_message("other", user("x"))
        assert await chats.count_messages("k") == 5
        assert contents(await chats.get_messages("k", limit=1, offset=1)) == ["b"]
        assert contents(await chats.archive_oldest_messages("k", 2)) == ["a", "b"]
        assert contents(await chats.get_messages("k", status=MessageStatus.ARCHIVED)) == ["a", "b"]
        assert await chats.count_messages("k", status=None) == 5
        assert contents(await chats.delete_oldest_messages("k", 1)) == ["c"]
        assert await chats.delete_message("k", 7) is None
        assert await chats.delete_message("k", 1) == tool_round("t", "out")[1]
        assert await chats.get_keys() == ["k", "other"]
        await chats.delete_messages("k")
        assert await chats.count_messages("k", status=None) == 0
        assert contents(await chats.get_messages("other")) == ["x"]

    asyncio.run(use())


def test_archiving_at_once_takes_each_message_once(store: SyncMemoryManager) -> None:
    """Positions are looked up and moved under one lock."""

    async def use() -> list[list[ChatMessage]]:
        chats = TieredChatStore(memory=store)
        await chats.add_messages("k", [user(f"message {n}") for n in range(20)])
        return list(await asyncio.gather(*(chats.archive_oldest_messages("k", 3) for _ in range(5))))

    archived = sorted(text for batch in asyncio.run(use()) for text in map(str, contents(batch)))
    assert archived == sorted(f"message {n}" for n in range(15))


def test_the_chat_store_is_saved_as_a_handle(store: SyncMemoryManager) -> None:
    """And found again."""
    chats = TieredChatStore(memory=store)
    asyncio.run(chats.add_message("k", user("a secret")))
    saved = json.loads(json.dumps(chats.to_dict()))
    assert "a secret" not in json.dumps(saved)
    assert contents(asyncio.run(TieredChatStore.from_dict(saved).get_messages("k"))) == ["a secret"]


# --- retriever and tools ---------------------------------------------------------------------------------------------


def test_the_retriever_finds_nodes_awaited_too(store: SyncMemoryManager) -> None:
    """The same, best first, with what a model should see of them."""
    store.add_memory("The dog is called Rex.", metadata={"room": "kitchen"})
    store.add_memory("The cat is called Tom.")
    retriever = TieredMemoryRetriever(memory=store, similarity_top_k=2)
    nodes = retriever.retrieve("What is the dog called?")
    assert [n.node_id for n in asyncio.run(retriever.aretrieve("What is the dog called?"))] == [
        n.node_id for n in nodes
    ]
    assert nodes[0].text == "The dog is called Rex."
    assert nodes[0].metadata["room"] == "kitchen"
    assert retriever.retrieve(" ") == []
    llm = ScriptedLLM()
    RetrieverQueryEngine.from_args(retriever, llm=llm).query("What is the dog called?")
    assert "The dog is called Rex." in str(llm.prompts[-1])


def test_the_tools_remember_correct_and_forget(store: SyncMemoryManager) -> None:
    """By name, as an agent calls them; whose memory it is does not show in what the model sees."""
    tools = {tool.metadata.name: tool for tool in TieredMemoryToolSpec(memory=store).to_tool_list()}
    assert set(tools) == {"remember", "recall_memories", "correct_memory", "forget_memory"}
    assert "namespace" not in str([tool.metadata.fn_schema_str for tool in tools.values()])

    async def use() -> None:
        stored = str(await tools["remember"].acall(fact="The dog is called Rex."))
        memory_id = stored.split()[2].rstrip(".")
        assert memory_id in str(await tools["recall_memories"].acall(query="the dog"))
        corrected = str(await tools["correct_memory"].acall(memory_id=memory_id, fact="The dog is called Max."))
        assert corrected.startswith("Stored")
        recalled = str(tools["recall_memories"].call(query="the dog"))
        assert "Max" in recalled
        assert "Rex" not in recalled
        assert str(await tools["forget_memory"].acall(memory_id=corrected.split()[2])) == "Deleted."
        assert str(await tools["correct_memory"].acall(memory_id="nothing", fact="x")).startswith("Not corrected")
        assert str(await tools["remember"].acall(fact=" ")).startswith("Not stored")

    asyncio.run(use())


# --- bridges ---------------------------------------------------------------------------------------------------------


def test_settings_fill_in_what_is_left_open(tmp_path: Path) -> None:
    """A model, an embedder and a tokenizer of `Settings` are used; what is given wins."""
    Settings._llm, Settings._embed_model = ScriptedLLM(), MockEmbedding(embed_dim=3)
    config = memory_config(path=tmp_path)
    assert config.llm is Settings._llm
    assert config.embedder is Settings._embed_model
    own = FakeEmbedder()
    assert memory_config(path=tmp_path, embedder=own).embedder is own
    memory = TieredMemory.from_defaults(config=MemoryConfig(path=tmp_path))
    memory.put(user("hello"))
    assert memory.manager.sync.stats().dimensions == 3
    memory.close()


def test_nothing_set_reaches_for_nothing(tmp_path: Path) -> None:
    """LlamaIndex's own default, which would call OpenAI, is not resolved."""
    Settings._llm = Settings._embed_model = None
    config = memory_config(path=tmp_path)
    assert config.llm is config.embedder is None
    assert Settings._llm is Settings._embed_model is None


def test_a_model_scores_importance() -> None:
    """A number from 0 to 10 becomes [0, 1]; anything else is refused, so that the core falls back."""
    assert LLMImportanceScorer(ScriptedLLM(lambda messages: "Rating: 7")).score("I am allergic to nuts") == 0.7
    for answer in ("very", "11"):
        with pytest.raises(ScoringError, match="0 to 10"):
            LLMImportanceScorer(ScriptedLLM(lambda messages, answer=answer: answer)).score("x")
