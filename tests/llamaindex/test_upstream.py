"""What LlamaIndex's own tests of memories, engines and agents ask for, asked of ours.

`scripts/third_party_llamaindex.sh` runs theirs, unmodified. These need no checkout. Each runs on `TieredMemory` and
on LlamaIndex's `Memory` over a `TieredChatStore`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine, SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import BaseMemory, Memory
from llama_index.core.tools import FunctionTool
from workflows.errors import WorkflowRuntimeError

from llamaindex_memory_mgr import TieredChatStore, TieredMemory
from memory_mgr import SyncMemoryManager

from .helpers import ScriptedLLM, Shelf, assistant, contents, takes_chat_store, tool_round, user

Make = Callable[[int], BaseMemory]


@pytest.fixture(params=["tiered", pytest.param("stock on our store", marks=takes_chat_store)])
def make(request: pytest.FixtureRequest, store: SyncMemoryManager) -> Make:
    """Makes a memory with a token limit."""

    def tiered(limit: int) -> BaseMemory:
        return TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=limit)

    def stock(limit: int) -> BaseMemory:
        return Memory.from_defaults(
            session_id="c",
            token_limit=limit,
            token_flush_size=max(1, limit // 10),
            chat_history_token_ratio=0.7,
            chat_store=TieredChatStore(memory=store),
        )

    return tiered if request.param == "tiered" else stock


# --- memories: memory/test_chat_memory_buffer.py, test_memory_base.py, test_memory_custom_chat_store.py -------------


def test_put_get_set_reset(make: Make) -> None:
    """Each does what it says, in order."""
    memory = make(1000)
    memory.put(user("one"))
    memory.put_messages([assistant("two"), user("three")])
    assert contents(memory.get()) == ["one", "two", "three"]
    memory.set([user("other")])
    assert contents(memory.get()) == contents(memory.get_all()) == ["other"]
    memory.reset()
    assert memory.get() == []


def test_with_initial_tokens_that_fit_nothing_leaves(make: Make) -> None:
    """The whole history is returned."""
    memory = make(1000)
    memory.put_messages([user("one"), assistant("two")])
    assert contents(memory.get(initial_token_count=5)) == ["one", "two"]


def test_a_flushed_history_starts_with_a_user_and_ends_with_the_newest(make: Make) -> None:
    """Whole turns leave; the newest stays (test_manage_queue_first_message_must_be_user, ..._preserves_turn)."""
    memory = make(300)
    for number in range(30):
        memory.put_messages([user(f"question {number} on it"), assistant(f"answer {number} " + "word " * 5)])
        got = [m for m in memory.get() if m.role != "system"]
        assert got[0].role == "user"
        assert str(got[-1].content).startswith(f"answer {number}")
    assert len(got) < 60


def test_tool_messages_follow_their_calls(make: Make) -> None:
    """However the queue is flushed (test_manage_queue_with_tool_messages, ..._only_tool_message_remaining)."""
    memory = make(400)
    for number in range(12):
        memory.put_messages(
            [user(f"look up {number}"), *tool_round(f"c{number}", "found " * 20), assistant(f"it is {number}")]
        )
        got = [m for m in memory.get() if m.role != "system"]
        assert got[0].role == "user"
        for before, message in itertools.pairwise(got):
            if message.role == "tool":
                assert any(isinstance(block, ToolCallBlock) for block in before.blocks)


def test_concurrent_puts_do_not_archive_too_much(store: SyncMemoryManager) -> None:
    """test_concurrent_aput_does_not_over_archive: each message is kept once, and none leaves that need not."""

    async def at_once(memory: BaseMemory) -> None:
        await asyncio.gather(*(memory.aput(user(f"message {n} " + "word " * 12)) for n in range(12)))

    memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=200)
    asyncio.run(at_once(memory))
    assert len(memory.get_all()) == len(set(contents(memory.get_all()))) == 12
    # Of a window of 140 tokens half stays when it is full; a message has 17.
    assert 4 <= len(store.conversation("c").window()) <= 8


def test_sync_puts_on_changing_loops(make: Make) -> None:
    """test_sync_put_works_across_event_loops."""
    memory = make(1000)
    memory.put(user("one"))
    asyncio.run(memory.aput(user("two")))
    memory.put(user("three"))
    assert contents(memory.get_all()) == ["one", "two", "three"]


# --- chat engines: chat_engine/test_*.py ----------------------------------------------------------------------------


def test_simple_engine_sends_exactly_the_history(make: Make) -> None:
    """test_simple_chat_engine: the mock model echoes its prompt."""
    engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=make(3000))
    assert str(engine.chat("Test message 1")) == "user: Test message 1\nassistant: "
    second = str(engine.chat("Test message 2"))
    first = "user: Test message 1\nassistant: user: Test message 1\nassistant: \n"
    assert second == f"{first}user: Test message 2\nassistant: "
    engine.reset()
    assert str(engine.chat("Test message 3")) == "user: Test message 3\nassistant: "


def test_an_exception_in_a_stream_reaches_the_user(make: Make) -> None:
    """test_simple_chat_engine_astream_exception_handling."""

    class BrokenError(Exception):
        pass

    def fail(messages: Sequence[ChatMessage]) -> str:
        raise BrokenError

    engine = SimpleChatEngine.from_defaults(llm=ScriptedLLM(fail), memory=make(3000))

    async def talk() -> None:
        response = await engine.astream_chat("Hello")
        async for _ in response.async_response_gen():
            pass

    with pytest.raises(BrokenError):
        asyncio.run(talk())


@pytest.mark.parametrize("engine_class", [ContextChatEngine, CondensePlusContextChatEngine])
def test_context_engines_keep_both_sides(make: Make, engine_class: Any) -> None:
    """test_chat, test_achat: two messages after one turn, four after two, the system prompt in front."""
    llm = ScriptedLLM()
    engine = engine_class.from_defaults(Shelf(), llm=llm, memory=make(3000), system_prompt="Talk like a pirate.")
    engine.chat("Hello World!")
    assert len(engine.chat_history) == 2
    asyncio.run(engine.achat("What is the capital of the moon?"))
    assert len(engine.chat_history) == 4
    assert "Talk like a pirate." in str(llm.prompts[-1][0].content)
    assert "Hello World!" in contents(llm.prompts[-1])


def test_a_synchronous_stream_needs_no_other_memory(store: SyncMemoryManager) -> None:
    """Theirs swaps ChatMemoryBuffer in here: their Memory loses the answer that another thread's loop writes."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="s")
    engine = ContextChatEngine.from_defaults(Shelf(), llm=ScriptedLLM(), memory=memory)
    for turn in (1, 2):
        response = engine.stream_chat(f"Question {turn}")
        assert next(iter(response.response_gen))
        assert len(engine.chat_history) == 2 * turn


# --- agents: agent/workflow/test_*.py ---------------------------------------------------------------------------------


def _call(name: str, **arguments: Any) -> ChatMessage:
    block = ToolCallBlock(tool_call_id=f"{name}-1", tool_name=name, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[block])


def _run(agent: Any, text: str, memory: BaseMemory, **options: Any) -> str:
    async def run() -> str:
        return str(await agent.run(text, memory=memory, **options))

    return asyncio.run(run())


def test_an_agent_stores_its_calls_and_results(make: Make) -> None:
    """test_single_function_agent: user, call, result and answer, in order; a failing tool's error as its result."""
    memory, answers = make(3000), iter([_call("divide", a=1, b=0), "It cannot be done."])

    def divide(a: int, b: int) -> float:
        """Divide."""
        return a / b

    agent = FunctionAgent(tools=[divide], llm=ScriptedLLM(lambda messages: next(answers)))
    assert _run(agent, "What is 1/0?", memory) == "It cannot be done."
    assert [m.role.value for m in memory.get_all()] == ["user", "assistant", "tool", "assistant"]
    assert "division by zero" in str(memory.get_all()[2].content)


def test_a_tool_that_returns_directly_ends_the_run(make: Make) -> None:
    """test_return_direct_e2e."""
    memory = make(3000)
    tool = FunctionTool.from_defaults(lambda: "42", name="answer", description="d", return_direct=True)
    agent = FunctionAgent(tools=[tool], llm=ScriptedLLM(lambda messages: _call("answer")))
    assert _run(agent, "What is it?", memory) == "42"
    assert memory.get_all()[0] == user("What is it?")


def test_a_run_that_is_broken_off_does_not_break_the_next(make: Make) -> None:
    """test_max_iterations: what is left is a user message alone, and the next run goes on from there."""
    memory = make(3000)

    def wait() -> str:
        """Wait."""
        return "waited"

    def rule(messages: Sequence[ChatMessage]) -> str | ChatMessage:
        return "Stopped." if "Stop." in contents(messages) else _call("wait")

    agent = FunctionAgent(tools=[wait], llm=ScriptedLLM(rule))
    with pytest.raises(WorkflowRuntimeError, match="Max iterations"):
        _run(agent, "Go on for ever.", memory, max_iterations=2)
    assert _run(agent, "Stop.", memory) == "Stopped."
    assert contents(memory.get_all())[-2:] == ["Stop.", "Stopped."]
    got = memory.get()
    assert got[0].role == "user"


def test_agents_that_hand_off_share_the_memory(make: Make) -> None:
    """test_basic_workflow: the second agent is sent what the user told the first."""
    memory = make(3000)
    first_llm = ScriptedLLM(lambda messages: _call("handoff", to_agent="second", reason="r"))
    second_llm = ScriptedLLM(lambda messages: "Done.")
    first = FunctionAgent(name="first", description="d", llm=first_llm, can_handoff_to=["second"])
    second = FunctionAgent(name="second", description="d", llm=second_llm)
    workflow = AgentWorkflow(agents=[first, second], root_agent="first")
    assert _run(workflow, "My code is 7.", memory) == "Done."
    assert "My code is 7." in contents(second_llm.prompts[0])
