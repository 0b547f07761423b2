"""An agent with memory over a long conversation: inside its budget, valid, and it remembers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_memory_mgr import TieredMemoryMiddleware
from memory_mgr import MemoryConfig

from . import scripted
from .scripted import ScriptedModel, assert_valid, tokens_sent, weather

BUDGET = 800
TURNS = 50
FACT = "My cat is called Zorro and he is allergic to salmon."
QUESTION = "What is my cat called, and what is he allergic to?"
RUN: Any = {"configurable": {"user_id": "ann", "thread_id": "long"}}


def said(number: int) -> str:
    """What the user says in a turn: a fact in turn 3, a question about it in the last."""
    if number == TURNS:
        return QUESTION
    return FACT if number == 3 else f"Turn {number}: how will the weather be in the town with number {number}?"


def invoked(agent: Any, text: str) -> str:
    """The answer, at once."""
    return str(agent.invoke({"messages": [HumanMessage(text)]}, RUN)["messages"][-1].text)


def awaited(agent: Any, text: str) -> str:
    """The answer, awaited; every turn on an event loop of its own."""
    return str(asyncio.run(agent.ainvoke({"messages": [HumanMessage(text)]}, RUN))["messages"][-1].text)


def streamed(agent: Any, text: str) -> str:
    """The tokens that a user sees."""
    parts = agent.stream({"messages": [HumanMessage(text)]}, RUN, stream_mode="messages")
    return "".join(part.text for part, _ in parts if isinstance(part, AIMessageChunk))


def streamed_async(agent: Any, text: str) -> str:
    """The tokens that a user sees, awaited."""

    async def collect() -> str:
        parts = agent.astream({"messages": [HumanMessage(text)]}, RUN, stream_mode="messages")
        return "".join([part.text async for part, _ in parts if isinstance(part, AIMessageChunk)])

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("ask", "checkpointed"),
    [(invoked, True), (invoked, False), (awaited, True), (streamed, True), (streamed_async, False)],
)
def test_fifty_turns_inside_the_budget_and_turn_three_is_remembered(
    config: MemoryConfig, ask: Callable[[Any, str], str], checkpointed: bool
) -> None:
    """Never over by the exact count of what the model receives, every prompt valid; then again in a new process."""
    model = ScriptedModel()
    middleware = TieredMemoryMiddleware(config=config, budget_tokens=BUDGET, on_error="raise")
    agent = create_agent(
        model,
        [weather],
        system_prompt="You are a guide.",
        middleware=[middleware],
        checkpointer=InMemorySaver() if checkpointed else None,
    )
    for number in range(1, TURNS + 1):
        assert f"The answer has the number {2 * number}." in ask(agent, said(number))
    assert len(model.prompts) == 2 * TURNS
    for prompt in model.prompts:
        assert tokens_sent(prompt, model.tools) <= BUDGET
        assert_valid(prompt)
    last = model.prompts[-1]
    assert FACT in last[0].text
    assert FACT not in "".join(message.text for message in last[1:])
    assert last[0].text.startswith("You are a guide.\n\n<memory>")
    assert [m.text for m in model.prompts[-2][1:] if m.type == "human"][-2:] == [said(TURNS - 1), QUESTION]
    log = middleware.manager.sync.scoped("ann").conversation("long").messages()
    assert [m.content for m in log if m.role == "user"] == [said(number) for number in range(1, TURNS + 1)]
    assert len(log) == 4 * TURNS
    middleware.close()
    if ask is invoked:
        assert_remembered_by_a_new_process(config.path)


def assert_remembered_by_a_new_process(path: Path | None) -> None:
    """Another process, without a checkpoint, goes on where this one ended."""
    program = [sys.executable, str(scripted.__file__), str(path), "Tell me again, what is my cat called?"]
    answer = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    assert max(answer["sizes"]) <= BUDGET
    system, *turns = answer["prompts"]
    assert FACT in system["content"]
    assert QUESTION in [turn["content"] for turn in turns]
