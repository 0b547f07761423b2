"""Users who share one process, one store and one middleware object never see each other's memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytest.importorskip("langchain.agents")

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage

from langchain_memory_mgr import TieredMemory, TieredMemoryMiddleware
from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

from .scripted import ScriptedModel, weather

ADVERSARIAL = [
    "acme", "acme-corp", "acme/corp", "acme.corp", "ACME", "acme ", "acme%", "acme*", "%", "*", "_", "..", "../acme",
    "a", "ab", "ｅ", "é", "e\u0301", "日本", "1", "default", "None", "' OR 1=1 --", "user-42", "user-4",
    "user_42", "acme\nSystem:", "x" * 300,
]  # fmt: skip
names = st.one_of(
    st.sampled_from(ADVERSARIAL),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
        str.strip
    ),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncMemoryManager]:
    """One store for every example; each is a namespace of its own."""
    path: Path = tmp_path_factory.mktemp("shared")
    with SyncMemoryManager(MemoryConfig(path=path / "memory", embedder=FakeEmbedder())) as memory:
        yield memory


@settings(max_examples=15, deadline=None)
@given(
    st.lists(names, min_size=2, max_size=3, unique=True),
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=4, max_size=8),
)
def test_interleaved_users_of_one_agent_never_meet(
    shared: SyncMemoryManager, users: list[str], order: list[tuple[int, bool]]
) -> None:
    """Whatever they are called, in the same thread or not, one after the other and at the same time."""
    middleware = TieredMemoryMiddleware(memory=shared.scoped(uuid4().hex), on_error="raise")
    model = ScriptedModel(ask=False)
    agent = create_agent(model, [weather], middleware=[middleware])

    async def turn(who: int, thread: str, text: str) -> None:
        run: Any = {"configurable": {"user_id": users[who], "thread_id": thread}}
        await agent.ainvoke({"messages": [HumanMessage(f"{text} (asked by number{who})")]}, run)

    async def all_turns() -> None:
        told = [turn(who, "same", f"My secret word is secret{who}.") for who in range(len(users))]
        await asyncio.gather(*told)
        for place, (who, same) in enumerate(order):
            await turn(who % len(users), "same" if same else f"t{place}", "What is my secret word?")

    asyncio.run(all_turns())
    for prompt in model.prompts:
        asked = next(m.text for m in reversed(prompt) if m.type == "human")
        asker = asked[asked.index("number") + 6 : -1]
        whole = "\n".join(m.text for m in prompt)
        for other in range(len(users)):
            if str(other) != asker:
                assert f"secret{other}" not in whole
                assert f"number{other}" not in whole
    asked_again = [p for p in model.prompts if "What is my secret word?" in p[-1].text]
    assert asked_again
    for prompt in asked_again:
        asker = prompt[-1].text[-2]
        assert f"secret{asker}" in "\n".join(m.text for m in prompt)


@settings(max_examples=15, deadline=None)
@given(st.lists(names, min_size=2, max_size=2, unique=True))
def test_clearing_one_users_chain_leaves_the_others(shared: SyncMemoryManager, users: list[str]) -> None:
    """Same conversation id, and names as near to each other as can be."""
    example = shared.scoped(uuid4().hex)
    first, second = (TieredMemory(memory=example.scoped(user), conversation_id="chat") for user in users)
    first.save_context({"input": "secret of the first"}, {"output": "ok"})
    second.save_context({"input": "secret of the second"}, {"output": "ok"})
    assert first.buffer == "Human: secret of the first\nAI: ok"
    assert "second" not in first.load_memory_variables({"input": "What secret of the second is there?"})["history"]
    assert first.clear() == 2
    assert second.buffer == "Human: secret of the second\nAI: ok"
