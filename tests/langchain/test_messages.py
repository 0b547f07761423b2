"""LangChain's messages through the memory and back."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_memory_mgr.messages import LOSSY, as_langchain, as_message
from memory_mgr import Message, SyncMemoryManager, ToolCall

MESSAGES: list[BaseMessage] = [
    HumanMessage("plain"),
    HumanMessage(
        [
            {"type": "text", "text": "what is this"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "image", "source_type": "base64", "data": "AA==", "mime_type": "image/png"},
            {"type": "file", "source_type": "id", "id": "file-1"},
        ],
        name="Ada",
        id="h1",
        additional_kwargs={"custom": {"nested": [1, None]}},
        response_metadata={"n": 1},
    ),
    AIMessage(
        [
            {"type": "reasoning", "reasoning": "hm"},
            {"type": "text", "text": "so", "annotations": [{"type": "citation"}]},
        ],
        id="a1",
        tool_calls=[
            {"name": "look", "args": {"$ref": 1, "q": "x"}, "id": "c1"},
            {"name": "go", "args": {}, "id": None},
        ],
        invalid_tool_calls=[{"name": "bad", "args": "{", "id": "c2", "error": "no JSON"}],
        usage_metadata={
            "input_tokens": 3,
            "output_tokens": 4,
            "total_tokens": 7,
            "input_token_details": {"cache_read": 1},
            "output_token_details": {"reasoning": 2},
        },
    ),
    AIMessage("", additional_kwargs={"function_call": {"name": "old", "arguments": "{}"}}),
    ToolMessage("found", tool_call_id="c1", status="error", name="look", artifact={"rows": [[1, 2]]}),
    ToolMessage("", tool_call_id=""),
    SystemMessage("be kind"),
    ChatMessage("hello", role="critic"),
    FunctionMessage("result", name="old"),
    RemoveMessage(id="h1"),
    AIMessageChunk(
        "par", id="k", chunk_position="last", tool_call_chunks=[{"name": "t", "args": "{", "id": "c3", "index": 0}]
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_every_message_comes_back_equal(message: BaseMessage, memory: SyncMemoryManager) -> None:
    """Same class, same fields, after a trip through the store."""
    memory.conversation("c").add_message(as_message(message))
    (stored,) = memory.conversation("c").messages()
    restored = as_langchain(stored)
    assert type(restored) is type(message)
    assert restored == message
    assert restored.model_dump() == message.model_dump()


@pytest.mark.parametrize(
    "artifact",
    [
        b"\x00\xff",
        (1, ("a", [2])),
        {1: "one", (2, 3): "pair"},
        float("nan"),
        datetime(2026, 1, 1, tzinfo=UTC),
        uuid.UUID(int=5),
        [Document("text", id="d", metadata={"when": datetime(2026, 1, 1, tzinfo=UTC)})],
        {"$bytes": "mine"},
        "NUL \0 and \udc00",
    ],
    ids=repr,
)
def test_artifacts_that_json_has_not_are_kept(artifact: Any) -> None:
    """What tools return beside their text is restored too."""
    message = ToolMessage("ok", tool_call_id="c", artifact=artifact)
    kept = as_message(message)
    json.dumps(kept.original, allow_nan=False).encode()
    restored = as_langchain(kept)
    assert repr(restored.artifact) == repr(artifact)  # type: ignore[attr-defined]
    assert LOSSY not in restored.response_metadata


def test_what_only_text_can_stand_for_is_flagged(caplog: pytest.LogCaptureFixture) -> None:
    """The field is named in the message that comes back, and in the log; nothing is dropped silently."""

    class Connection:
        def __repr__(self) -> str:
            return "<an open connection>"

    restored = as_langchain(as_message(ToolMessage("ok", tool_call_id="c", artifact=[1, Connection()])))
    assert restored.artifact == [1, "<an open connection>"]  # type: ignore[attr-defined]
    assert restored.response_metadata[LOSSY] == ["artifact"]
    assert "artifact can only be kept as text" in caplog.text


def test_messages_of_another_framework_are_translated() -> None:
    """A conversation begun elsewhere goes on here."""
    call = ToolCall(id="c", name="look", arguments={"q": "x"})
    translated = [
        as_langchain(Message(role="system", content="s")),
        as_langchain(Message(role="user", content="u", name="Ada", id="1")),
        as_langchain(Message(role="assistant", tool_calls=(call,))),
        as_langchain(Message(role="tool", content="r", tool_call_id="c")),
    ]
    assert translated == [
        SystemMessage("s"),
        HumanMessage("u", name="Ada", id="1"),
        AIMessage("", tool_calls=[{"id": "c", "name": "look", "args": {"q": "x"}}]),
        ToolMessage("r", tool_call_id="c"),
    ]
