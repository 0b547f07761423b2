"""The ten issues of LlamaIndex's own memories that users met most, each as it should be."""

from __future__ import annotations

import asyncio
import copy
import threading
from pathlib import Path
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, CitableBlock, TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import Memory
from llama_index.core.workflow import Context, JsonSerializer

from llamaindex_memory_mgr import TieredChatStore, TieredMemory, TieredMemoryBlock
from llamaindex_memory_mgr.counting import MessageCounter
from memory_mgr import EpisodicConfig, MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeClock, FakeEmbedder

from .helpers import ScriptedLLM, assistant, contents, takes_chat_store, tool_round, user


def test_issue_21950_tool_calls_thinking_and_citations_count(store: SyncMemoryManager, counter: MessageCounter) -> None:
    """A history of large tool calls, thinking and citations stays within the limit."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=400)
    heavy = [
        ToolCallBlock(tool_call_id="t", tool_name="search", tool_kwargs={"query": "word " * 60}),
        ThinkingBlock(content="let me think " * 20),
        CitableBlock(title="title", source="src", content=[TextBlock(text="cited " * 40)]),
    ]
    for number in range(10):
        memory.put(user(f"question {number}"))
        for block in heavy[1:]:
            memory.put(ChatMessage(role="assistant", blocks=[block]))
        memory.put(ChatMessage(role="assistant", blocks=[heavy[0]]))
        memory.put(ChatMessage(role="tool", content="found", additional_kwargs={"tool_call_id": "t", "x": "y " * 9}))
        assert counter.total(memory.get()) <= 400


def test_issue_22701_one_object_never_answers_for_another_session(store: SyncMemoryManager) -> None:
    """A block used by two sessions and namespaces keeps them apart, call by call."""
    block = TieredMemoryBlock(memory=store, filters={"tenant": "one"})
    store.add_memory("The door code of tenant one is 1111.", metadata={"tenant": "one"})
    store.add_memory("The door code of tenant two is 2222.", metadata={"tenant": "two"})
    question = [user("What is the door code?")]

    async def ask(**options: Any) -> str:
        return await block.aget(question, **options)

    assert "1111" in asyncio.run(ask(session_id="a"))
    assert "2222" in asyncio.run(ask(session_id="b", filters={"tenant": "two"}))
    assert "2222" not in asyncio.run(ask(session_id="a"))
    other = TieredMemory.from_defaults(memory=store.scoped("acme"), conversation_id="a")
    other.put(user("What is the door code?"))
    assert contents(other.get()) == ["What is the door code?"]


def test_issue_23090_no_order_of_priorities_can_drop_the_memory(store: SyncMemoryManager) -> None:
    """The one block is within its own budget and shortens itself by worth, not all or nothing."""
    for number in range(40):
        store.add_memory(f"Fact {number} about the garden: plant number {number} needs water.")
    block = TieredMemoryBlock(memory=store, max_tokens=300, priority=1)
    text = asyncio.run(block.aget([user("Which plant of the garden needs water?")], session_id="s"))
    count = MessageCounter(block.tokenizer_fn).text if block.tokenizer_fn else len
    assert 200 < count(text) <= 300
    shorter = asyncio.run(block.atruncate(text, 150))
    assert shorter is not None
    assert 50 < count(shorter) <= count(text) - 150
    assert shorter.startswith("<memory>")
    assert shorter.endswith("</memory>")
    assert asyncio.run(block.atruncate(text, 10_000)) is None


def test_issue_23144_a_system_message_is_never_evicted(store: SyncMemoryManager) -> None:
    """However long the chat goes on."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=200)
    memory.put(ChatMessage(role="system", content="Always answer in rhyme."))
    for number in range(30):
        memory.put_messages([user(f"question {number} on topic {number}"), assistant(f"answer {number}")])
    got = memory.get()
    assert [m.role.value for m in got].count("system") == 1
    assert str(got[0].content).startswith("Always answer in rhyme.")


def test_issue_20256_user_first_and_tools_paired(store: SyncMemoryManager) -> None:
    """Whatever the limit, the prompt begins with a user and no call or result stands alone."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=1000)
    for number in range(6):
        memory.put(user(f"look up {number}"))
        memory.put_messages([*tool_round(f"call-{number}", f"result {number} " * 10), assistant(f"found {number}")])
    for limit in range(0, 1000, 37):
        turns = [m for m in memory.get(initial_token_count=limit) if m.role != "system"]
        assert turns[0].role == "user"
        calls = [b.tool_call_id for m in turns for b in m.blocks if isinstance(b, ToolCallBlock)]
        results = [m.additional_kwargs["tool_call_id"] for m in turns if m.role == "tool"]
        assert calls == results


def test_issue_19228_a_context_saved_and_restored_still_remembers(config: MemoryConfig) -> None:
    """Through JSON, with another manager on the same folder, and through a copy of the workflow's state."""
    llm = ScriptedLLM()
    agent = FunctionAgent(tools=[], llm=llm)
    with SyncMemoryManager(config) as first:
        memory = TieredMemory.from_defaults(memory=first, conversation_id="c")

        async def talk() -> dict[str, Any]:
            context = Context(agent)
            await agent.run("My name is Ada.", ctx=context, memory=memory)
            async with context.store.edit_state() as state:
                assert state.memory is memory
            return context.to_dict(serializer=JsonSerializer())

        saved = asyncio.run(talk())
        assert copy.deepcopy(memory) is memory
    with SyncMemoryManager(config) as second:
        from llamaindex_memory_mgr import register_memory

        kept = register_memory(second)

        async def resume() -> None:
            context = Context.from_dict(agent, saved, serializer=JsonSerializer())
            await agent.run("What is my name?", ctx=context)

        asyncio.run(resume())
        assert kept.sync is second
    assert "My name is Ada." in contents(llm.prompts[-1])


def test_issue_23055_an_agents_state_is_not_written_into_what_was_said(chat: TieredMemory) -> None:
    """The prompt with the state in it is the agent's copy."""
    llm = ScriptedLLM()
    agent = FunctionAgent(tools=[], llm=llm, initial_state={"mood": "fine"})

    async def talk() -> None:
        await agent.run("hello", memory=chat)

    asyncio.run(talk())
    assert "mood" in str(llm.prompts[0])
    assert contents(chat.get_all()) == ["hello", "I see."]


def test_issue_19026_sync_and_async_from_many_threads_and_loops(config: MemoryConfig) -> None:
    """First reads at once, loops that come and go: nothing is lost, nothing raises."""
    with SyncMemoryManager(config) as store:
        memory = TieredMemory.from_defaults(memory=store, conversation_id="c")
        errors: list[BaseException] = []

        def work(number: int) -> None:
            async def awaited() -> None:
                await asyncio.gather(memory.aget(), memory.aput(user(f"async {number}")))

            try:
                asyncio.run(awaited())
                memory.put(user(f"sync {number}"))
                memory.get()
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert len(memory.get_all()) == 16


def test_issue_21103_a_summary_never_replaces_the_history(tmp_path: Path) -> None:
    """An empty or failing summary changes nothing; a good one stands beside the originals."""
    answers = iter(["", None, "Ada likes tea."] + ["A summary."] * 100)

    def rule(messages: Any) -> str:
        answer = next(answers)
        if answer is None:
            raise RuntimeError("model down")
        return answer

    config = MemoryConfig(
        path=tmp_path, embedder=FakeEmbedder(), llm=ScriptedLLM(rule), episodic=EpisodicConfig(summary_tokens=60)
    )
    with SyncMemoryManager(config) as store:
        memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=150)
        said = [message for n in range(30) for message in (user(f"question {n} on {n}"), assistant(f"answer {n}"))]
        for message in said:
            memory.put(message)
        assert memory.get_all() == said
        assert store.stats().counts["episodic"] > 0
        assert all(entry.content.strip() for entry in store.list_memories("episodic", limit=None))


def test_issue_22209_recent_and_important_memories_win_across_sessions(tmp_path: Path) -> None:
    """Between equally fitting memories the newer, more important one is told first; filters work per call (22823)."""
    clock = FakeClock()
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder(), clock=clock)
    with SyncMemoryManager(config) as store:
        store.add_memory("The project meeting is in room Alpha.", importance_score=0.1, metadata={"phase": "plan"})
        clock.advance(86_400 * 300)
        store.add_memory("The project meeting is in room Bravo.", importance_score=0.9, metadata={"phase": "build"})
        memory = TieredMemory.from_defaults(memory=store, conversation_id="new session")
        memory.put(user("In which room is the project meeting?"))
        best = store.search_memory("In which room is the project meeting?", "long_term", limit=2)
        assert "Bravo" in best[0].content
        assert "Bravo" in str(memory.get()[0].content)
        planned = str(memory.get(filters={"phase": "plan"})[0].content)
        assert "Alpha" in planned
        assert "Bravo" not in planned


@takes_chat_store
def test_upstream_memory_keeps_a_durable_history_in_our_store(config: MemoryConfig) -> None:
    """Stock Memory over our chat store finds its messages after a restart."""
    with SyncMemoryManager(config) as store:
        stock = Memory.from_defaults(session_id="s", token_limit=1000, chat_store=TieredChatStore(memory=store))
        engine = SimpleChatEngine.from_defaults(llm=ScriptedLLM(), memory=stock)
        engine.chat("hello")
    with SyncMemoryManager(config) as store:
        stock = Memory.from_defaults(session_id="s", token_limit=1000, chat_store=TieredChatStore(memory=store))
        assert contents(stock.get()) == ["hello", "I see."]
