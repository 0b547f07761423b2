"""LangChain's messages as the core's `Message` and back, losslessly."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
    messages_from_dict,
)

from langchain_memory_mgr.values import decoded, encoded
from memory_mgr import Message, ToolCall
from memory_mgr.types import JSON, Role

log = logging.getLogger(__name__)
ORIGIN = "langchain"
"""Key of `Message.original` under which the message stands as `message_to_dict` gives it."""
LOSSY = "memory_mgr_lossy"
"""Key of `response_metadata`, on messages read back, that lists fields holding what could only be kept as text."""

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}


def role_of(message: BaseMessage) -> Role:
    """The core's role of a message; the message's own type is kept in `Message.original`."""
    kind = message.role if isinstance(message, ChatMessage) else message.type
    return _ROLES.get(kind.lower().removesuffix("messagechunk"), "assistant")


def as_message(message: BaseMessage, *, id: str | None = None) -> Message:
    """A message as the core keeps it, with everything of it under `original`.

    What JSON has not, in an artifact or in a content block, is kept too if it is bytes, a tuple, a number that is not
    finite, or an object that LangChain can serialise (a Document); anything else as its text, and the field is then
    named under `LOSSY` in the `response_metadata` of the message that is read back.

    Args:
        message: Any message.
        id: Its id in the memory; default: its own, else a new one.
    """
    return Message(
        role=role_of(message),
        content=str(message.text),
        name=message.name or None,
        id=id or message.id or uuid.uuid4().hex,
        tool_calls=tuple(calls_of(message)),
        tool_call_id=answered_call(message),
        original=_original(message),
    )


def as_langchain(message: Message) -> BaseMessage:
    """A new LangChain message: the very one that was put in, or one made of what another framework stored."""
    original = message.original or {}
    if ORIGIN not in original:
        return _translated(message)
    kept: Any = original[ORIGIN]
    restored = messages_from_dict([{"type": kept["type"], "data": decoded(kept["data"])}])[0]
    if lossy := original.get(LOSSY):
        restored.response_metadata = restored.response_metadata | {LOSSY: lossy}
    return restored


def calls_of(message: BaseMessage) -> list[ToolCall]:
    """The tool calls of a message; a call of OpenAI's older `function_call` goes by the function's name."""
    if not isinstance(message, AIMessage):
        return []
    calls = [
        ToolCall(id=call["id"] or call["name"], name=call["name"], arguments=encoded(call["args"])[0])
        for call in message.tool_calls
    ]
    legacy = message.additional_kwargs.get("function_call")
    if not calls and isinstance(legacy, dict) and legacy.get("name"):
        calls = [ToolCall(id=legacy["name"], name=legacy["name"], arguments={"arguments": legacy.get("arguments")})]
    return calls


def answered_call(message: BaseMessage) -> str | None:
    """The id of the tool call that a message answers; for messages of the role "tool" always something."""
    if isinstance(message, ToolMessage):
        return message.tool_call_id or "unknown"
    if isinstance(message, FunctionMessage):
        return message.name
    return "unknown" if role_of(message) == "tool" else None


def _original(message: BaseMessage) -> dict[str, JSON]:
    dumped = message_to_dict(message)
    data: dict[str, JSON] = {}
    lossy: list[JSON] = []
    for name in dumped["data"]:
        # The field itself: dumping turns objects in it into plain dicts without a word.
        data[name], whole = encoded(getattr(message, name))
        if not whole:
            lossy.append(name)
    original: dict[str, JSON] = {ORIGIN: {"type": dumped["type"], "data": data}}
    if lossy:
        log.warning("of a %s message, %s can only be kept as text", message.type, ", ".join(map(str, lossy)))
        original[LOSSY] = lossy
    return original


def _translated(message: Message) -> BaseMessage:
    common: dict[str, Any] = {"content": message.content, "name": message.name, "id": message.id}
    if message.role == "tool":
        return ToolMessage(tool_call_id=message.tool_call_id or "", **common)
    if message.role == "assistant":
        calls = [{"id": call.id, "name": call.name, "args": call.arguments} for call in message.tool_calls]
        return AIMessage(tool_calls=calls, **common)
    return SystemMessage(**common) if message.role == "system" else HumanMessage(**common)
