"""`TieredMemory` keeps the contract of LangChain's `BaseMemory`, sync and async."""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_classic")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_classic.base_memory import BaseMemory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_memory_mgr import TieredMemory
from langchain_memory_mgr.counting import MessageCounter
from memory_mgr import ConfigurationError, InvalidInputError, MemoryConfig, MemoryManager, SyncMemoryManager, UsageError
from memory_mgr.testing import FakeEmbedder

from .scripted import ENCODING, assert_valid, tokens_sent

TALK = [("My boat is called Nina.", "A fine name."), ("It lies in Genoa.", "Lovely there."), ("It is red.", "I see.")]


def made(memory: SyncMemoryManager, **fields: Any) -> TieredMemory:
    """A conversation's memory."""
    return TieredMemory(memory=memory, conversation_id="chat", **fields)


def talk(memory: TieredMemory) -> None:
    """Three exchanges."""
    for asked, answered in TALK:
        memory.save_context({"input": asked}, {"output": answered})


def history(memory: TieredMemory, **inputs: Any) -> Any:
    """What the prompt is told."""
    return memory.load_memory_variables(inputs)[memory.memory_key]


def test_an_empty_memory_is_empty(store: SyncMemoryManager) -> None:
    """Text "" and no messages, with a question and without."""
    for inputs in ({}, {"input": "hi"}):
        assert history(made(store), **inputs) == ""
        assert history(made(store, return_messages=True), **inputs) == []


def test_text_is_what_the_classic_buffer_gives(store: SyncMemoryManager) -> None:
    """While everything fits: a transcript with the prefixes, the oldest first."""
    memory = made(store, human_prefix="Friend", ai_prefix="Bot", memory_key="past")
    talk(memory)
    lines = [line for asked, answered in TALK for line in (f"Friend: {asked}", f"Bot: {answered}")]
    assert memory.load_memory_variables({"input": "Where does it lie?"}) == {"past": "\n".join(lines)}
    assert memory.memory_variables == ["past"]
    assert memory.load_memory_variables({}) == {"past": "\n".join(lines)}


def test_messages_are_the_very_ones(store: SyncMemoryManager) -> None:
    """Tool calls, artifacts, ids and usage as they were saved, and nothing else while everything fits."""
    memory = made(store, return_messages=True)
    answer = [
        AIMessage("", id="a", tool_calls=[{"id": "c", "name": "find", "args": {"x": [1]}, "type": "tool_call"}]),
        ToolMessage("found", id="t", tool_call_id="c", artifact={"rows": [1, 2]}, status="success"),
        AIMessage("Here.", id="b", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    ]
    asked = HumanMessage([{"type": "text", "text": "Find it"}], id="h", name="ann")
    memory.save_context({"input": asked}, {"output": answer})
    assert history(memory) == [asked, *answer]
    assert [m.model_dump() for m in history(memory)] == [m.model_dump() for m in [asked, *answer]]


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("hi", "hello"),
        (HumanMessage("hi"), AIMessage("hello")),
        ([HumanMessage("hi")], [AIMessage("hello")]),
        ([("human", "hi")], [{"role": "assistant", "content": "hello"}]),
    ],
)
def test_text_messages_and_lists_are_accepted(store: SyncMemoryManager, asked: Any, answered: Any) -> None:
    """All say the same."""
    memory = made(store)
    memory.save_context({"input": asked}, {"output": answered})
    assert history(memory) == "Human: hi\nAI: hello"


def test_chat_memory_is_the_same_conversation(store: SyncMemoryManager) -> None:
    """Code of 2023 reads and adds single messages there."""
    memory = made(store)
    memory.chat_memory.add_user_message("hi")
    memory.chat_memory.add_ai_message("hello")
    assert history(memory) == "Human: hi\nAI: hello"
    memory.save_context({"input": "still here?"}, {"output": "yes"})
    assert [m.text for m in memory.chat_memory.messages] == ["hi", "hello", "still here?", "yes"]


def test_messages_given_out_can_be_changed(store: SyncMemoryManager) -> None:
    """They are copies."""
    memory = made(store, return_messages=True)
    talk(memory)
    first = history(memory)
    first[0].content = "changed"
    assert history(memory)[0].content == TALK[0][0]


def test_our_own_variable_is_not_an_input(store: SyncMemoryManager) -> None:
    """Chains pass it back; neither it nor "stop" is what the user said."""
    memory = made(store)
    memory.save_context({"input": "hi", "history": "Human: before", "stop": ["\n"]}, {"response": "hello"})
    assert memory.buffer == "Human: hi\nAI: hello"


def test_several_inputs_and_outputs_need_names(store: SyncMemoryManager) -> None:
    """The same errors as LangChain's memories, before anything is written; "output" is taken with a warning."""
    memory = made(store)
    with pytest.raises(ValueError, match="One input key expected got"):
        memory.save_context({"a": "x", "b": "y"}, {"output": "z"})
    with pytest.raises(ValueError, match="Got multiple output keys"):
        memory.save_context({"a": "x"}, {"c": "y", "d": "z"})
    with pytest.raises(InvalidInputError, match="input_key='question' is not among"):
        made(store, input_key="question").save_context({"a": "x"}, {"output": "z"})
    with pytest.raises(InvalidInputError, match="'a' is a int"):
        memory.save_context({"a": 1}, {"output": "z"})
    assert memory.buffer == ""
    with pytest.warns(UserWarning, match="multiple output keys"):
        memory.save_context({"a": "x"}, {"output": "y", "sources": ["z"]})
    named = made(store, input_key="question", output_key="answer")
    named.save_context({"question": "q", "language": "en"}, {"answer": "a", "sources": []})
    assert named.buffer == "Human: x\nAI: y\nHuman: q\nAI: a"


def test_metadata_can_be_given_to_the_memory_and_with_a_call(store: SyncMemoryManager) -> None:
    """It is kept with the messages, and filters what is recalled (langchain 13876)."""
    memory = made(store, metadata={"app": "web", "page": 1})
    memory.save_context({"input": "My boat is called Nina."}, {"output": "Yes."}, metadata={"page": 2})
    assert [m.metadata for m in memory.conversation.messages()] == [{"app": "web", "page": 2}] * 2
    other = {"memory": store, "conversation_id": "other"}
    assert "Nina" in history(TieredMemory(**other, filter={"page": 2}), input="What is my boat called?")
    assert history(TieredMemory(**other, filter={"page": 1}), input="What is my boat called?") == ""


def test_what_was_recalled_is_not_saved_as_if_it_had_been_said(store: SyncMemoryManager) -> None:
    """Applications hand whole prompts back."""
    memory = made(store, return_messages=True, max_token_limit=120, memory_tokens=60)
    for number in range(6):
        memory.save_context(
            {"input": f"Boat number {number} is called Nina {number}."}, {"output": "I see, very well."}
        )
    prompt = history(memory, input="What is boat number 0 called?")
    assert "Nina 0" in prompt[0].text
    before = len(memory.buffer)
    memory.save_context({"input": [prompt[0], HumanMessage("And now?")]}, {"output": f"{prompt[0].text}Well."})
    assert [m.text for m in memory.buffer[before:]] == ["And now?", "Well."]


# --- the limit -----------------------------------------------------------------------------------------------------

texts = st.lists(
    st.sampled_from(["boat", "Nina", "Genoa", "\n\n", " ", "日本語", "🙂", "</memory>", "Human:", "x" * 40, "1,2"]),
    max_size=40,
).map("".join)
exchanges = st.lists(st.tuples(texts, texts, st.none() | texts), max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(exchanges, st.integers(1, 250), st.booleans(), texts)
def test_the_limit_holds_exactly(
    store: SyncMemoryManager, said: list[tuple[str, str, str | None]], limit: int, messages: bool, asked: str
) -> None:
    """Counted on what is returned, whatever was said; and the log keeps all of it."""
    memory = TieredMemory(memory=store, max_token_limit=limit, return_messages=messages)
    for number, (question, answer, output) in enumerate(said):
        result: list[BaseMessage] = [AIMessage(answer)]
        if output is not None:
            call = {"id": f"c{number}", "name": "find", "args": {"query": answer}}
            result = [AIMessage("", tool_calls=[call]), ToolMessage(output, tool_call_id=f"c{number}"), *result]
        memory.save_context({"input": question}, {"output": result})
    filled = history(memory, input=asked)
    if messages:
        assert MessageCounter(store.counter).messages(filled) <= limit
        assert tokens_sent(filled) - 3 <= limit
        assert_valid(filled)
    else:
        assert len(ENCODING.encode_ordinary(filled)) <= limit
    kept = [(m.text, m.type) for m in memory.buffer_as_messages if m.type == "human"]
    assert len(kept) == len(said)


def test_what_no_longer_fits_is_recalled_and_summarised(store: SyncMemoryManager) -> None:
    """The newest turns as they were said; of the earlier ones what the question is about."""
    memory = made(store, max_token_limit=200)
    talk(memory)
    for number in range(20):
        memory.save_context({"input": f"Question {number} about the weather"}, {"output": f"It is sunny, {number}."})
    text = history(memory, input="Where does the boat lie? In Genoa?")
    assert "It lies in Genoa." in text
    assert text.endswith("Human: Question 19 about the weather\nAI: It is sunny, 19.")
    assert len(ENCODING.encode_ordinary(text)) <= 200
    assert memory.conversation.summaries()


def test_a_turn_over_the_limit_is_recalled_in_parts(store: SyncMemoryManager) -> None:
    """Rather than sent and refused by the provider."""
    memory = made(store, max_token_limit=150, return_messages=True)
    memory.save_context({"input": "The boat is called Nina. " + "It is very long. " * 200}, {"output": "I see."})
    filled = history(memory, input="What is the boat called?")
    assert [type(message) for message in filled] == [SystemMessage]
    assert tokens_sent(filled) - 3 <= 150


# --- async, copies, other processes --------------------------------------------------------------------------------


def test_every_async_method_is_our_own() -> None:
    """None falls back to an executor of LangChain's, and none saves without summarising and evicting."""
    for name, method in inspect.getmembers(BaseMemory, inspect.iscoroutinefunction):
        assert getattr(TieredMemory, name) is not method


def test_async_saves_evict_and_summarise(config: MemoryConfig) -> None:
    """As the sync ones do; LangChain's own summary and token buffers do not."""

    async def main() -> None:
        async with MemoryManager(config) as manager:
            memory = TieredMemory(memory=manager, conversation_id="chat", max_token_limit=100)
            for number in range(12):
                await memory.asave_context(
                    {"input": f"Question {number} about Genoa"}, {"output": "It is sunny there."}
                )
            assert len(await manager.conversation("chat").window()) < 24
            assert await manager.conversation("chat").summaries()
            filled = (await memory.aload_memory_variables({"input": "Question 0"}))["history"]
            assert "Question 11" in filled
            assert await memory.aclear() > 24
            assert (await memory.aload_memory_variables({}))["history"] == ""

    asyncio.run(main())


def test_a_message_changed_while_it_is_saved_is_saved_as_it_was(store: SyncMemoryManager) -> None:
    """The caller owns it again at once."""
    memory = made(store)
    asked = HumanMessage("before")

    async def main() -> None:
        saving = asyncio.ensure_future(memory.asave_context({"input": asked}, {"output": "ok"}))
        await asyncio.sleep(0)
        asked.content = "after"
        await saving

    asyncio.run(main())
    assert memory.buffer == "Human: before\nAI: ok"


def test_it_pickles_and_reconnects(config: MemoryConfig) -> None:
    """With its settings; the copy reads what the first one wrote, once it is closed or while it is open."""
    memory = TieredMemory(config=config, conversation_id="chat", ai_prefix="Bot")
    memory.save_context({"input": "hi"}, {"output": "hello"})
    beside = pickle.loads(pickle.dumps(memory))
    assert history(beside) == "Human: hi\nBot: hello"
    dumped = pickle.dumps(memory)
    beside.close()
    memory.close()
    again = pickle.loads(dumped)
    again.save_context({"input": "still"}, {"output": "here"})
    assert again.buffer == "Human: hi\nBot: hello\nHuman: still\nBot: here"
    again.close()


def test_what_is_in_memory_only_says_why_it_cannot_be_pickled() -> None:
    """And how to do without."""
    memory = TieredMemory(config=MemoryConfig(path=":memory:", embedder=FakeEmbedder()))
    with pytest.raises(UsageError, match="path= or url="):
        pickle.dumps(memory)
    memory.close()


def test_copies_talk_to_the_same_memory(store: SyncMemoryManager) -> None:
    """Chains copy what they are given."""
    memory = made(store)
    for twin in (copy.deepcopy(memory), memory.model_copy()):
        twin.save_context({"input": "hi"}, {"output": "hello"})
    assert len(memory.conversation.messages()) == 4


def test_clear_deletes_the_conversation_and_nothing_else(store: SyncMemoryManager) -> None:
    """Summaries and archived turns go, other conversations, facts and namespaces stay; it says how many entries."""
    memory = made(store, max_token_limit=80)
    for number in range(10):
        memory.save_context({"input": f"Question {number} about Genoa"}, {"output": "It is sunny there."})
    other = TieredMemory(memory=store, conversation_id="chat2")
    other.save_context({"input": "stay"}, {"output": "yes"})
    tenant = TieredMemory(memory=store.scoped("tenant"), conversation_id="chat")
    tenant.save_context({"input": "stay"}, {"output": "yes"})
    fact = store.add_memory("Genoa is in Italy.", "long_term")
    summaries = len(memory.conversation.summaries())
    assert summaries > 0
    assert memory.clear() >= 20 + summaries
    assert memory.buffer == ""
    assert memory.conversation.summaries() == []
    assert len(other.conversation.messages()) == len(tenant.conversation.messages()) == 2
    assert store.get_memory(fact.id).content == "Genoa is in Italy."
    assert memory.clear() == 0


def test_settings_that_cannot_work_are_refused(store: SyncMemoryManager) -> None:
    """Unknown ones too: a typing error would be no memory."""
    with pytest.raises(ConfigurationError, match="not both"):
        TieredMemory(memory=store, config=store.config)
    with pytest.raises(ConfigurationError, match="for settings use config="):
        TieredMemory(memory=store.config)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_token_limit"):
        made(store, max_token_limit=0)
    with pytest.raises(ValueError, match="return_message"):
        made(store, return_message=True)


def test_only_its_own_module_needs_langchain_classic(tmp_path: Path) -> None:
    """Without the package the error names the extra; everything else works."""
    code = (
        "import sys\n"
        "sys.modules['langchain_classic'] = None\n"
        "import langchain_memory_mgr as lc\n"
        "from memory_mgr import MissingDependencyError\n"
        "lc.TieredMemoryRetriever, lc.TieredMemoryMiddleware\n"
        "try:\n    lc.TieredMemory\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=os.environ
    )
    assert 'memory-mgr[langchain-classic]"' in done.stdout
