"""What is sent of a LangChain history is valid and inside the budget, for every history."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, FunctionMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_memory_mgr.counting import MessageCounter
from langchain_memory_mgr.trimming import Item, MessageForm
from memory_mgr.defaults.tokens import TiktokenCounter
from memory_mgr.policy.trimming import fitted

from .scripted import tokens_sent

COUNTER = MessageCounter(TiktokenCounter())
FORM = MessageForm(COUNTER.message)
texts = st.lists(st.sampled_from(["alpha", "beta", " ", "\n", "日本語", "🙂", "<memory>"]), max_size=30).map("".join)
call_ids = st.sampled_from(["a", "b", "c"])


@st.composite
def messages(draw: st.DrawFn) -> BaseMessage:
    """A message of any kind, whether or not it makes sense where it stands."""
    kind = draw(st.sampled_from(["human", "ai", "ai", "tool", "tool", "system"]))
    text = draw(texts)
    if kind == "ai":
        ids = draw(st.lists(call_ids, max_size=2, unique=True))
        calls = [{"id": i, "name": "find", "args": {"q": draw(texts)}} for i in ids]
        bad = [{"id": "bad", "name": "find", "args": "{", "error": None}] if draw(st.integers(0, 9)) == 0 else []
        if draw(st.booleans()):
            return AIMessage(text, tool_calls=calls, invalid_tool_calls=bad)
        blocks = [{"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["args"]} for c in calls]
        return AIMessage([{"type": "text", "text": text}, *blocks], tool_calls=calls)
    if kind == "tool":
        return ToolMessage(text, tool_call_id=draw(call_ids))
    return HumanMessage(text) if kind == "human" else SystemMessage(text)


def items(history: Sequence[BaseMessage]) -> list[Item]:
    """A history as it is trimmed."""
    return [FORM.item(str(place), message) for place, message in enumerate(history)]


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), max_size=14), st.integers(0, 300))
def test_what_is_sent_is_valid_and_inside_the_budget(history: list[BaseMessage], budget: int) -> None:
    """Over it only by what system and user said; results directly behind their call, every call with its result."""
    before = [message.model_copy(deep=True) for message in history]
    sent = fitted(items(history), budget, FORM)
    assert all(item.tokens == COUNTER.message(item.message) for item in sent)
    if sum(item.tokens for item in sent) > budget and any(m.type == "human" for m in history):
        assert {item.message.type for item in sent} <= {"system", "human"}
    waiting: set[str] = set()
    for item in sent:
        if item.message.type == "tool":
            assert item.message.tool_call_id in waiting
            waiting.discard(item.message.tool_call_id)
            continue
        assert not waiting
        waiting = set(FORM.calls(item.message))
        blocks = item.message.content if isinstance(item.message.content, list) else []
        assert {block["id"] for block in blocks if "id" in block} <= waiting
    assert not waiting
    assert history == before


@settings(max_examples=300, deadline=None)
@given(st.lists(messages(), max_size=8))
def test_the_count_is_never_below_what_is_sent(history: list[BaseMessage]) -> None:
    """Counted another way: in OpenAI's format, by their recipe."""
    plain = [m if isinstance(m.content, str) else m.model_copy(update={"content": m.text}) for m in history]
    assert COUNTER.messages(plain) + 3 >= tokens_sent(plain)


def test_results_are_brought_behind_their_call() -> None:
    """A user may have spoken while a tool was at work."""
    call = AIMessage("", tool_calls=[{"id": "c", "name": "find", "args": {}}])
    history = [HumanMessage("find"), call, HumanMessage("are you there?"), ToolMessage("found", tool_call_id="c")]
    assert [item.message.type for item in fitted(items(history), 1000, FORM)] == ["human", "ai", "tool", "human"]


def test_old_function_calls_are_pairs_too() -> None:
    """OpenAI's `function_call` and FunctionMessage."""
    call = AIMessage("", additional_kwargs={"function_call": {"name": "find", "arguments": "{}"}})
    history = [HumanMessage("find"), call, FunctionMessage(name="find", content="found"), AIMessage("here")]
    assert [item.message for item in fitted(items(history), 1000, FORM)] == history
    assert [item.message for item in fitted(items([history[0], history[2]]), 1000, FORM)] == history[:1]
    assert [item.message for item in fitted(items(history[:2]), 1000, FORM)] == history[:1]


def test_media_have_fixed_sizes_and_thinking_counts() -> None:
    """Bytes are not read; what a model thought is sent again."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert COUNTER.message(HumanMessage([image])) == 4 + 256
    thought = {"type": "thinking", "thinking": "let me see " * 50, "signature": "s"}
    assert COUNTER.message(AIMessage([thought])) > 150
