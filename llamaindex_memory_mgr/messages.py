"""LlamaIndex's `ChatMessage` as the core's `Message` and back, losslessly."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    CitationBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from memory_mgr.types import JSON, Message, Role, ToolCall

_ROLES: dict[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}
"""The core knows four roles; the message's own is kept in `Message.original`."""
_UNNAMED = "unnamed"
"""The core wants to know which call a tool message answers; LlamaIndex's may leave it open."""
ORIGIN = "llama_index"
"""Key of `Message.original` under which the message stands as LlamaIndex dumps it."""


def role_of(message: ChatMessage) -> Role:
    """The core's role of a message."""
    return _ROLES[message.role]


def as_message(message: ChatMessage, *, id: str | None = None) -> Message:
    """A message as the core keeps it, with everything of it under `original`; a fresh id if none is given."""
    return Message(
        role=role_of(message),
        content=text_of(message),
        name=_name(message),
        id=id or uuid.uuid4().hex,
        tool_calls=tuple(calls_of(message)),
        tool_call_id=answered_call(message) or (_UNNAMED if role_of(message) == "tool" else None),
        original={ORIGIN: dumped(message)},
    )


def as_chat_message(message: Message) -> ChatMessage:
    """A new `ChatMessage`: the very one that was put in, or one made of what another framework stored."""
    original = (message.original or {}).get(ORIGIN)
    if original is not None:
        return ChatMessage.model_validate(original)
    blocks: list[Any] = [TextBlock(text=message.content)] if message.content else []
    blocks += [ToolCallBlock(tool_call_id=c.id, tool_name=c.name, tool_kwargs=c.arguments) for c in message.tool_calls]
    answered = {"tool_call_id": message.tool_call_id} if message.tool_call_id else {}
    return ChatMessage(role=MessageRole(message.role), blocks=blocks, additional_kwargs=answered)


def copied(message: ChatMessage) -> ChatMessage:
    """A copy that shares nothing that callers change."""
    return message.model_copy(
        update={
            "blocks": [block.model_copy() for block in message.blocks],
            "additional_kwargs": dict(message.additional_kwargs),
        }
    )


def dumped(message: ChatMessage) -> dict[str, JSON]:
    """A message as JSON; what JSON cannot say in `additional_kwargs` is kept as text.

    Legacy `images` are left out: `ChatMessage` has turned them into blocks already, and would do so again.
    """
    kwargs = {key: _jsonable(value) for key, value in message.additional_kwargs.items() if key != "images"}
    plain = message.model_copy(update={"additional_kwargs": {}})
    return plain.model_dump(mode="json") | {"additional_kwargs": kwargs}


def fingerprint(message: Message) -> str:
    """Equal for messages that say the same, whichever id and time they have."""
    original = (message.original or {}).get(ORIGIN) or dumped(as_chat_message(message))
    return json.dumps(original, sort_keys=True, ensure_ascii=False)


def text_of(message: ChatMessage) -> str:
    """The words of a message: its text, cited and citable blocks; thinking is not part of what was said."""
    return "\n".join(text for block in message.blocks for text in _texts(block))


def calls_of(message: ChatMessage) -> Iterator[ToolCall]:
    """The tool calls of a message, from its blocks and from OpenAI's older `additional_kwargs["tool_calls"]`."""
    seen: set[str] = set()
    for number, block in enumerate(message.blocks):
        if isinstance(block, ToolCallBlock):
            call = ToolCall(
                id=block.tool_call_id or f"{block.tool_name}-{number}",
                name=block.tool_name,
                arguments=_arguments(block.tool_kwargs),
            )
            seen.add(call.id)
            yield call
    for call in map(_legacy_call, message.additional_kwargs.get("tool_calls") or ()):
        if call.id not in seen:
            yield call


def answered_call(message: ChatMessage) -> str | None:
    """The id of the tool call that a tool message answers."""
    answered = message.additional_kwargs.get("tool_call_id")
    return str(answered) if answered and role_of(message) == "tool" else None


def without_calls(message: ChatMessage, ids: Sequence[str]) -> ChatMessage:
    """A copy that does not make these tool calls."""
    kept = copied(message)
    kept.blocks = [b for b in kept.blocks if not (isinstance(b, ToolCallBlock) and b.tool_call_id in ids)]
    if (legacy := kept.additional_kwargs.pop("tool_calls", None)) is not None:
        left = [call for call in legacy if _legacy_call(call).id not in ids]
        if left:
            kept.additional_kwargs["tool_calls"] = left
    return kept


def _name(message: ChatMessage) -> str | None:
    name = message.additional_kwargs.get("name")
    return name if isinstance(name, str) and name.strip() else None


def _texts(block: Any) -> Iterator[str]:
    if isinstance(block, TextBlock):
        yield block.text
    elif isinstance(block, CitableBlock):
        for inner in block.content:
            yield from _texts(inner)
    elif isinstance(block, CitationBlock):
        yield from _texts(block.cited_content)


def _legacy_call(call: Any) -> ToolCall:
    """A tool call in OpenAI's shape, as a dict or as their object."""
    plain: Any = call.model_dump() if isinstance(call, BaseModel) else call
    if not isinstance(plain, Mapping):
        return ToolCall(id=str(plain), name="tool")
    function: Any = plain.get("function") or plain
    name = str(function.get("name") or "tool")
    return ToolCall(id=str(plain.get("id") or name), name=name, arguments=_arguments(function.get("arguments")))


def _arguments(given: Any) -> dict[str, JSON]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return {"arguments": given}
    if not isinstance(given, Mapping):
        return {} if given is None else {"arguments": _jsonable(given)}
    return {str(key): _jsonable(value) for key, value in given.items()}


def _jsonable(value: Any) -> JSON:
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and value - value == 0):
        return cast("JSON", value)
    return str(value)
