"""Every chat engine and agent over a long chat: never over the limit, a fact of turn 2 known at the end.

The process is restarted half way (a new manager on the same folder, nothing else kept), and every third turn is
streamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.chat_engine import (
    CondensePlusContextChatEngine,
    CondenseQuestionChatEngine,
    ContextChatEngine,
    SimpleChatEngine,
)
from llama_index.core.query_engine import RetrieverQueryEngine

from llamaindex_memory_mgr import TieredMemory
from llamaindex_memory_mgr.counting import MessageCounter
from memory_mgr import MemoryConfig, SyncMemoryManager

from .helpers import Rule, ScriptedLLM, Shelf

LIMIT = 1000
TURNS = 60
FACT = "Please note that my sister Helena keeps four alpacas in Cusco."
QUESTION = "How many alpacas does my sister Helena keep in Cusco?"


class Watched(TieredMemory):
    """Counts every prompt part that it gives out."""

    def get(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:
        """As `TieredMemory.get`, checked."""
        got = super().get(input, **kwargs)
        counter = MessageCounter(self.tokenizer_fn or (lambda text: []))
        assert counter.total(got) + kwargs.get("initial_token_count", 0) <= LIMIT
        assert [m.role.value for m in got].count("system") <= 1
        assert not got or got[0].role.value in {"system", "user"}
        return got


class Talk:
    """A chat engine and its four ways to talk: sync or async, streaming or not."""

    def __init__(self, make: Callable[[ScriptedLLM, TieredMemory], Any]) -> None:
        self.make = make

    def say(self, engine: Any, text: str, turn: int, memory: TieredMemory) -> None:
        """One turn."""
        if turn % 6 == 0:
            asyncio.run(_astream(engine, text))
        elif turn % 3 == 0:
            _stream(engine, text)
        elif turn % 2:
            engine.chat(text)
        else:
            asyncio.run(engine.achat(text))


async def _astream(engine: Any, text: str) -> None:
    response = await engine.astream_chat(text)
    async for _ in response.async_response_gen():
        pass
    if response.awrite_response_to_history_task is not None:
        await response.awrite_response_to_history_task


def _stream(engine: Any, text: str) -> None:
    response = engine.stream_chat(text)
    list(response.response_gen)
    if response.write_response_to_history_thread is not None:
        response.write_response_to_history_thread.join()


class AgentTalk(Talk):
    """Agents are async only; every third turn's events are read as they come."""

    def say(self, engine: Any, text: str, turn: int, memory: TieredMemory) -> None:
        """One run."""

        async def run() -> None:
            handler = engine.run(text, memory=memory)
            if turn % 3 == 0:
                async for _ in handler.stream_events():
                    pass
            await handler

        asyncio.run(run())


def look_up(subject: str) -> str:
    """Look a subject up."""
    return f"{subject}: nothing special. " * 3


def _with_tools(messages: Sequence[ChatMessage]) -> str | ChatMessage:
    """Calls the tool once a turn, then answers."""
    if messages[-1].role == "tool":
        return "It is nothing special."
    call = ToolCallBlock(tool_call_id=f"call-{len(messages)}", tool_name="look_up", tool_kwargs={"subject": "it"})
    return ChatMessage(role="assistant", blocks=[call])


def _react(messages: Sequence[ChatMessage]) -> str:
    """As `_with_tools`, in ReAct's words."""
    if str(messages[-1].content).startswith("Observation:"):
        return "Thought: I can answer without using any more tools.\nAnswer: It is nothing special."
    return 'Thought: I need a tool.\nAction: look_up\nAction Input: {"subject": "it"}'


def _answer(messages: Sequence[ChatMessage]) -> str:
    return "I see, thank you."


def _simple(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    return SimpleChatEngine.from_defaults(llm=llm, memory=memory, system_prompt="Be kind.")


def _context(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    return ContextChatEngine.from_defaults(Shelf(), llm=llm, memory=memory)


def _condense_plus(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    return CondensePlusContextChatEngine.from_defaults(Shelf(), llm=llm, memory=memory, skip_condense=True)


def _condense(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    query_engine = RetrieverQueryEngine.from_args(Shelf(), llm=llm, streaming=True)
    return CondenseQuestionChatEngine.from_defaults(query_engine, llm=llm, memory=memory)


def _function_agent(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    return FunctionAgent(tools=[look_up], llm=llm, system_prompt="Be kind.")


def _react_agent(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    return ReActAgent(tools=[look_up], llm=llm)


def _workflow(llm: ScriptedLLM, memory: TieredMemory) -> Any:
    return AgentWorkflow(agents=[FunctionAgent(name="only", description="d", tools=[look_up], llm=llm)])


WAYS: dict[str, tuple[Talk, Rule]] = {
    "simple": (Talk(_simple), _answer),
    "context": (Talk(_context), _answer),
    "condense_plus_context": (Talk(_condense_plus), _answer),
    "condense_question": (Talk(_condense), _answer),
    "function_agent": (AgentTalk(_function_agent), _with_tools),
    "react_agent": (AgentTalk(_react_agent), _react),
    "agent_workflow": (AgentTalk(_workflow), _with_tools),
}


def _line(turn: int) -> str:
    if turn == 2:
        return FACT
    if turn == TURNS:
        return QUESTION
    return f"Turn {turn}: tell me something about subject number {turn}, it interests me " + "a lot " * (turn % 7)


@pytest.mark.parametrize("name", WAYS)
def test_a_long_chat_stays_in_its_limit_and_remembers(name: str, config: MemoryConfig) -> None:
    """Sixty turns at a limit of 1,000 tokens, counted exactly on everything the memory gives out."""
    talk, rule = WAYS[name]
    llm = ScriptedLLM(rule)
    for first, last in ((1, TURNS // 2), (TURNS // 2 + 1, TURNS)):
        with SyncMemoryManager(config) as store:
            memory = Watched.from_defaults(memory=store, conversation_id=name, token_limit=LIMIT)
            engine = talk.make(llm, memory)
            for turn in range(first, last + 1):
                start = len(llm.prompts)
                talk.say(engine, _line(turn), turn, memory)
            said = memory.get_all()
    last_prompts = " ".join(str(message.content) for prompt in llm.prompts[start:] for message in prompt)
    assert "four alpacas" in last_prompts
    users = [str(message.content) for message in said if message.role == "user"]
    assert users == [_line(turn) for turn in range(1, TURNS + 1)]
