"""Messages as entries and back, losslessly."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any, cast

from memory_mgr.protocols import TokenCounter
from memory_mgr.types import JSON, MemoryEntry, Message, NewMemory, Role, ToolCall

MESSAGE = "message"
"""`MemoryEntry.kind` of messages."""


def message_text(message: Message) -> str:
    """What a message says, in words: its content, else the calls it makes."""
    if message.content.strip():
        return message.content
    if message.tool_calls:
        return "\n".join(_call_text(call) for call in message.tool_calls)
    return f"({message.role} message without text)"


def _call_text(call: ToolCall) -> str:
    arguments = ", ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in call.arguments.items())
    return f"{call.name}({arguments})"


def prompt_text(message: Message) -> str:
    """Everything of a message that a model is sent: role, name, text, calls and their ids."""
    parts = [message.role, message.name or "", message.content, message.tool_call_id or ""]
    parts += [f"{call.id} {_call_text(call)}" for call in message.tool_calls]
    return "\n".join(part for part in parts if part)


def entry_id(conversation_id: str, message_id: str) -> str:
    """The id of a message's entry: the same for the same message, different in every conversation."""
    return hashlib.sha256(json.dumps([conversation_id, message_id]).encode()).hexdigest()[:32]


def as_new_memory(message: Message, conversation_id: str, counter: TokenCounter) -> NewMemory:
    """A message as something to remember."""
    message_id = message.id or str(uuid.uuid4())
    details: dict[str, JSON] = {
        "role": message.role,
        "message_id": message_id,
        "tokens": counter.count(prompt_text(message)),
    }
    if message_text(message) != message.content:
        details["content"] = message.content
    if message.tool_calls:
        details["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls]
    if message.tool_call_id:
        details["tool_call_id"] = message.tool_call_id
    if message.original is not None:
        details["original"] = message.original
    return NewMemory(
        content=message_text(message),
        metadata=message.metadata,
        source=conversation_id,
        timestamp=message.timestamp,
        id=entry_id(conversation_id, message_id),
        speaker=message.name,
        pinned=message.role == "system",
        kind=MESSAGE,
        details=details,
    )


def as_message(entry: MemoryEntry) -> Message:
    """The message that an entry was made of."""
    details: dict[str, Any] = entry.details
    return Message(
        role=cast("Role", details.get("role", "user")),
        content=details.get("content", entry.content),
        name=entry.speaker,
        id=details.get("message_id", entry.id),
        timestamp=entry.timestamp,
        tool_calls=tuple(ToolCall(**call) for call in details.get("tool_calls", ())),
        tool_call_id=details.get("tool_call_id"),
        metadata=entry.metadata,
        original=details.get("original"),
    )


def said(entry: MemoryEntry) -> str:
    """The text of an entry as it was said: a message keeps it where its content is only what is worth recalling."""
    text = entry.details.get("content") if entry.kind == MESSAGE else None
    return text if isinstance(text, str) else entry.content


def in_order(entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
    """Entries of a conversation in the order they were added."""
    return sorted(entries, key=lambda entry: entry.sequence)


def tokens_of(entry: MemoryEntry) -> int:
    """Tokens of a message's entry, as counted when it was added."""
    return int(cast("int", entry.details.get("tokens", 0)))
