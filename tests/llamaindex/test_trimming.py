"""What of a history is sent: the budget holds for every shape of history, and what is sent is valid."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    CitationBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llamaindex_memory_mgr.counting import MessageCounter
from llamaindex_memory_mgr.messages import answered_call, as_chat_message, as_message, calls_of
from llamaindex_memory_mgr.trimming import Item, fitted

from .helpers import assistant, contents, tool_round, user

WORDS = MessageCounter(str.split)
"""One token a word: quick, and budgets are easy to read."""

texts = st.lists(st.sampled_from(["alpha", "beta", "gamma", "{query_str}", "日本語", "<memory>"]), max_size=30).map(
    " ".join
)
extras = st.one_of(
    texts.map(lambda text: ThinkingBlock(content=text)),
    texts.map(lambda text: CitableBlock(title="t", source="s", content=[TextBlock(text=text)])),
    texts.map(
        lambda t: CitationBlock(cited_content=TextBlock(text=t), source="s", title="t", additional_location_info={})
    ),
)
call_ids = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def messages(draw: st.DrawFn) -> ChatMessage:
    """A message of any role and shape, whether or not it makes sense where it stands."""
    role = draw(st.sampled_from(["system", "user", "assistant", "tool"]))
    blocks: list[object] = [TextBlock(text=draw(texts))]
    kwargs: dict[str, object] = {}
    if role == "assistant":
        blocks += draw(st.lists(extras, max_size=1))
        for call in draw(st.lists(call_ids, max_size=2, unique=True)):
            block = ToolCallBlock(tool_call_id=call, tool_name="tool", tool_kwargs={"q": draw(texts)})
            if draw(st.booleans()):
                blocks.append(block)
            else:
                function = {"name": "tool", "arguments": "{}"}
                kwargs = {"tool_calls": [{"id": call, "type": "function", "function": function}]}
    if role == "tool":
        kwargs = draw(st.one_of(st.just({}), call_ids.map(lambda call: {"tool_call_id": call})))
    return ChatMessage(role=role, blocks=blocks, additional_kwargs=kwargs)


def items(history: Sequence[ChatMessage], counter: MessageCounter = WORDS) -> list[Item]:
    """A history as `fitted` takes it."""
    return [Item(str(n), message, counter.message(message)) for n, message in enumerate(history)]


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), max_size=14), st.integers(0, 120))
def test_the_budget_holds_for_every_history(history: list[ChatMessage], budget: int) -> None:
    """Over it only if what the system and the last user said is; the count is of what is really sent."""
    sent = fitted(items(history), budget, WORDS)
    assert all(item.tokens == WORDS.message(item.message) for item in sent)
    total = sum(item.tokens for item in sent)
    users = [item for item in sent if item.message.role == "user"]
    least = [item for item in sent if item.message.role == "system"] + users[-1:]
    if total > budget:
        assert sent == least or not users


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), max_size=14), st.integers(0, 120))
def test_what_is_sent_is_valid_for_every_provider(history: list[ChatMessage], budget: int) -> None:
    """It starts with a user, results stand behind their call, every call has one, else the order is kept."""
    sent = [item.message for item in fitted(items(history), budget, WORDS)]
    turns = [message for message in sent if message.role != "system"]
    if any(message.role == "user" for message in history):
        assert not turns or turns[0].role == "user"
    asked: set[str] = set()
    for message in turns:
        if message.role == "tool":
            answered = answered_call(message)
            assert answered is None or answered in asked
            asked.discard(str(answered))
            continue
        assert not asked or nameless(history)
        asked = {call.id for call in calls_of(message)}
    assert not asked or nameless(history)
    ids = [int(item.id) for item in fitted(items(history), budget, WORDS) if item.message.role in {"user", "assistant"}]
    assert ids == sorted(ids)


def nameless(history: Sequence[ChatMessage]) -> bool:
    """Whether a result does not say which call it answers: then any call may be its."""
    return any(message.role == "tool" and answered_call(message) is None for message in history)


@settings(max_examples=200, deadline=None)
@given(messages())
def test_any_message_round_trips_through_the_core(message: ChatMessage) -> None:
    """What is stored is what was put, whatever the blocks."""
    assert as_chat_message(as_message(message)) == message


def test_turns_leave_whole_and_the_oldest_first() -> None:
    """Never half a turn."""
    history = [user("one two"), assistant("three"), user("four"), assistant("five six")]
    assert contents([i.message for i in fitted(items(history), 5, WORDS)]) == ["four", "five six"]
    assert fitted(items(history), 6, WORDS) == items(history)


def test_system_messages_are_pinned() -> None:
    """They stay however old they are (LlamaIndex issue 23144)."""
    history = [ChatMessage(role="system", content="rules"), user("a b c"), assistant("d e"), user("f")]
    assert contents([i.message for i in fitted(items(history), 2, WORDS)]) == ["rules", "f"]


def test_a_turn_that_is_too_large_keeps_the_question_and_shortens_tool_output() -> None:
    """Its calls and results stay together."""
    history = [user("what is it"), *tool_round("c1", "word " * 500), assistant("it is this")]
    sent = fitted(items(history), 100, WORDS)
    assert [i.message.role.value for i in sent] == ["user", "assistant", "tool", "assistant"]
    assert "[cut]" in str(sent[2].message.content)
    assert sum(i.tokens for i in sent) <= 100
    tiny = fitted(items(history), 7, WORDS)
    assert contents([i.message for i in tiny]) == ["what is it", "it is this"]
    assert contents([i.message for i in fitted(items(history), 3, WORDS)]) == ["what is it"]


def test_consecutive_users_and_late_tools_are_tolerated() -> None:
    """What a run that was broken off leaves behind does no harm."""
    history = [user("a"), user("b"), *tool_round("c1", "out"), user("c")]
    assert fitted(items(history), 100, WORDS) == items(history)
    orphan = [user("a"), tool_round("c1", "out")[1], user("b")]
    assert contents([i.message for i in fitted(items(orphan), 100, WORDS)]) == ["a", "b"]
    unanswered = [user("a"), tool_round("c1", "out")[0], user("b")]
    assert contents([i.message for i in fitted(items(unanswered), 100, WORDS)]) == ["a", "b"]
