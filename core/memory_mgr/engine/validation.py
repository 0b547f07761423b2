"""Input is looked at here, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from memory_mgr.errors import InvalidInputError
from memory_mgr.trust import TRUST, Origin
from memory_mgr.types import (
    JSON,
    MAX_TTL_SECONDS,
    ROLES,
    MemoryType,
    Message,
    Namespace,
    NewMemory,
    ToolCall,
    utc,
)

MAX_CONTENT_CHARS = 10_000_000
MAX_ID_CHARS = 512
MAX_DEPTH = 32
EARLIEST_YEAR, LATEST_YEAR = 2, 9998
"""A year short of what `datetime` holds, so that no time zone or time window leads beyond it."""


def shown(value: object, length: int = 80) -> str:
    """`repr`, cut to be readable in a message."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 1] + "…"


def checked_text(text: object, what: str = "content") -> str:
    """`text` if it can be stored.

    Raises:
        InvalidInputError: Not a string, nothing but white space, too long, or not encodable.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"{what} must be a string, not {type(text).__name__} {shown(text)}")
    if not text or text.isspace():
        raise InvalidInputError(f"{what} is empty: {shown(text)}; pass some text")
    if len(text) > MAX_CONTENT_CHARS:
        raise InvalidInputError(f"{what} has {len(text):,} characters, at most {MAX_CONTENT_CHARS:,}; split it")
    return encodable(text, what)


def checked_list(values: object, what: str) -> list[Any]:
    """The elements of a list or of anything else that can be read through, but not of a text or a mapping."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidInputError(f"{what} must be a list, not {shown(values)}")
    return list(values)


def checked_ids(ids: object) -> list[str]:
    """Several ids."""
    return [checked_id(memory_id) for memory_id in checked_list(ids, "ids")]


def checked_texts(texts: object, what: str) -> tuple[str, ...]:
    """Several texts."""
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise InvalidInputError(f"{what} must be a list of texts, not {shown(texts)}")
    return tuple(checked_text(text, what) for text in texts)


def encodable(text: str, what: str) -> str:
    """`text` if it is valid Unicode (no lone surrogates) without NUL."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{what} holds a lone surrogate at position {error.start}: {shown(text[error.start])}; "
            "decode the text with errors='replace' before passing it"
        ) from error
    if "\0" in text:
        raise InvalidInputError(f"{what} holds a NUL character at position {text.index(chr(0))}; remove it")
    return text


def checked_id(memory_id: object) -> str:
    """`memory_id` if it can name an entry."""
    text = checked_text(memory_id, "id")
    if len(text) > MAX_ID_CHARS:
        raise InvalidInputError(f"id has {len(text)} characters, at most {MAX_ID_CHARS}: {shown(text)}")
    return text


def checked_tier(tier: object) -> MemoryType:
    """The tier that a value names."""
    try:
        return MemoryType(str(tier))
    except ValueError as error:
        names = ", ".join(t.value for t in MemoryType)
        raise InvalidInputError(f"unknown memory type {shown(tier)}; one of {names}") from error


def checked_tiers(tiers: object) -> tuple[MemoryType, ...]:
    """The tiers that one value, several, or None (all) name, each once."""
    if tiers is None:
        return tuple(MemoryType)
    if isinstance(tiers, str):
        return (checked_tier(tiers),)
    if not isinstance(tiers, Sequence | set | frozenset) or not tiers:
        raise InvalidInputError(f"memory_type must be a tier, several, or None for all, not {shown(tiers)}")
    return tuple(dict.fromkeys(checked_tier(tier) for tier in tiers))


def checked_origin(origin: object) -> Origin:
    """Who a memory may come from."""
    if not isinstance(origin, str) or origin not in TRUST:
        raise InvalidInputError(f"unknown origin {shown(origin)}; one of {', '.join(TRUST)}")
    return origin


def checked_namespace(namespace: object) -> Namespace:
    """Labels from one string or a sequence of them; integers are taken as their digits."""
    labels = [namespace] if isinstance(namespace, str | int) else namespace
    if not isinstance(labels, Sequence) or not labels:
        raise InvalidInputError(f"namespace must be a label or several, not {shown(namespace)}")
    return tuple(checked_label(label) for label in labels)


def checked_label(label: object) -> str:
    """One label of a namespace."""
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise InvalidInputError(f"a namespace label must be a string, not {shown(label)}")
    text = checked_text(str(label), "namespace label")
    if len(text) > MAX_ID_CHARS:
        raise InvalidInputError(f"a namespace label has {len(text)} characters, at most {MAX_ID_CHARS}")
    return text


def checked_unit(value: object, what: str) -> float:
    """A number in [0, 1]."""
    number = checked_number(value, what)
    if not 0 <= number <= 1:
        raise InvalidInputError(f"{what} must be in [0, 1], not {shown(value)}")
    return number


def checked_number(value: object, what: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{what} must be a finite number, not {shown(value)}")
    return float(value)


def checked_positive(value: object, what: str) -> float:
    """A finite number above zero."""
    number = checked_number(value, what)
    if number <= 0:
        raise InvalidInputError(f"{what} must be above 0, not {shown(value)}")
    return number


def checked_ttl(value: object) -> float:
    """A time to live in seconds, above zero, at most `MAX_TTL_SECONDS`."""
    seconds = checked_positive(value, "ttl_seconds")
    if seconds > MAX_TTL_SECONDS:
        raise InvalidInputError(f"ttl_seconds is {shown(value)}, more than a thousand years; leave it out to keep it")
    return seconds


def checked_count(value: object, what: str, *, least: int = 0) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInputError(f"{what} must be a whole number, not {shown(value)}")
    if value < least:
        raise InvalidInputError(f"{what} must be at least {least}, not {value}")
    return value


def checked_time(value: object, what: str = "timestamp") -> datetime:
    """A time in UTC; a naive one is taken to be UTC."""
    if not isinstance(value, datetime):
        raise InvalidInputError(
            f"{what} must be a datetime, not {shown(value)}; datetime.fromisoformat reads ISO 8601 text"
        )
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise InvalidInputError(f"{what} is in the year {value.year}; give one from {EARLIEST_YEAR} to {LATEST_YEAR}")
    return utc(value)


def checked_json(value: object, what: str, depth: int = 0) -> JSON:
    """A copy of `value` made of JSON types only.

    Raises:
        InvalidInputError: It holds something JSON has not (the place and the type are named).
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return encodable(str(value), what)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInputError(f"{what} is {value!r}, which JSON has not; use None or a finite number")
        return value
    if depth >= MAX_DEPTH:
        raise InvalidInputError(f"{what[:40]}… is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {_key(k, what): checked_json(v, f"{what}[{k!r}]", depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [checked_json(v, f"{what}[{i}]", depth + 1) for i, v in enumerate(value)]
    raise InvalidInputError(
        f"{what} is a {type(value).__name__}, which is not JSON: {shown(value)}; convert it to text or numbers"
    )


def _key(key: object, what: str) -> str:
    if not isinstance(key, str):
        raise InvalidInputError(f"a key of {what} is {shown(key)}; JSON keys are strings")
    return encodable(key, f"a key of {what}")


def checked_object(value: object, what: str) -> dict[str, JSON]:
    """A copy of a JSON object; None = empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} must be a mapping of JSON values, not {shown(value)}")
    return {_key(k, what): checked_json(v, f"{what}[{k!r}]", 1) for k, v in value.items()}


def checked_source(source: object, metadata: Mapping[str, JSON]) -> str | None:
    """The stream: what was given, else the string under "source" in the metadata."""
    if source is None:
        source = metadata.get("source")
        if source is None or not isinstance(source, str) or not source or source.isspace():
            return None
    return checked_text(source, "source")


def checked_new(item: object) -> NewMemory:
    """`item` with everything that was given looked at; a plain string is a memory too."""
    new = NewMemory(content=item) if isinstance(item, str) else item
    if not isinstance(new, NewMemory):
        raise InvalidInputError(f"expected a NewMemory or a string, not {shown(item)}")
    metadata = checked_object(new.metadata, "metadata")
    return NewMemory(
        content=checked_text(new.content),
        metadata=metadata,
        source=checked_source(new.source, metadata),
        timestamp=None if new.timestamp is None else checked_time(new.timestamp),
        importance_score=(
            None if new.importance_score is None else checked_unit(new.importance_score, "importance_score")
        ),
        id=None if new.id is None else checked_id(new.id),
        ttl_seconds=None if new.ttl_seconds is None else checked_ttl(new.ttl_seconds),
        speaker=None if new.speaker is None else checked_text(new.speaker, "speaker"),
        pinned=bool(new.pinned),
        kind=checked_text(new.kind, "kind"),
        origin=None if new.origin is None else checked_origin(new.origin),
        details=checked_object(new.details, "details"),
        derived_from=tuple(checked_id(i) for i in checked_list(new.derived_from, "derived_from")),
        found_by=None if new.found_by is None else checked_texts(new.found_by, "found_by"),
    )


def checked_role(role: object) -> None:
    """Refuse what is not a role."""
    if role not in ROLES:
        raise InvalidInputError(f"unknown role {shown(role)}; one of {', '.join(ROLES)}")


def checked_message(message: object) -> Message:
    """`message` if it can be stored."""
    if not isinstance(message, Message):
        raise InvalidInputError(f"expected a Message, not {shown(message)}")
    checked_role(message.role)
    if not isinstance(message.content, str):
        raise InvalidInputError(f"content must be a string, not {shown(message.content)}")
    encodable(message.content, "content")
    for what, text in (("name", message.name), ("id", message.id), ("tool_call_id", message.tool_call_id)):
        if text is not None:
            checked_text(text, f"{what} of a message")
    if message.original is not None:
        checked_object(message.original, "original")
    for call in checked_list(message.tool_calls, "tool_calls"):
        checked_call(call)
    if not message.content.strip() and not message.tool_calls and message.original is None and message.role != "tool":
        raise InvalidInputError(f"a {message.role} message without content or tool calls says nothing")
    if message.role == "tool" and not message.tool_call_id:
        raise InvalidInputError("a tool message needs tool_call_id, the id of the call it answers")
    return message


def checked_call(call: object) -> ToolCall:
    """`call` if it can be stored."""
    if not isinstance(call, ToolCall):
        raise InvalidInputError(f"expected a ToolCall, not {shown(call)}")
    checked_text(call.id, "id of a tool call")
    checked_text(call.name, "name of a tool call")
    arguments: object = call.arguments
    if arguments is None:
        raise InvalidInputError(f"arguments of the call {call.name!r} must be a JSON object, not None; use {{}}")
    checked_object(arguments, f"arguments of the call {call.name!r}")
    return call


def checked_messages(messages: object) -> list[Message]:
    """Several messages."""
    return [checked_message(message) for message in checked_list(messages, "messages")]


def refuse_clashes(news: Sequence[NewMemory]) -> None:
    """Within one call an id stands for one content."""
    contents: dict[str, str] = {}
    for new in news:
        if new.id is not None and contents.setdefault(new.id, new.content) != new.content:
            raise InvalidInputError(f"id {new.id!r} is given twice with different content; ids are unique")
