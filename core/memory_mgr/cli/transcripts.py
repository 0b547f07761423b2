"""Reading transcripts: JSONL of messages, or LoCoMo's JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory_mgr.errors import InvalidInputError
from memory_mgr.types import ROLES, Message, ToolCall


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the ids of the turns that answer it; `category` as LoCoMo numbers them."""

    text: str
    category: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation: (session, message) in order, and questions about it."""

    name: str
    turns: tuple[tuple[str, Message], ...]
    questions: tuple[Question, ...] = field(default=())


def read_transcripts(path: Path) -> list[Transcript]:
    """The conversations of a file.

    Raises:
        InvalidInputError: It cannot be read, or a line is not a message (the line is named).
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}") from error
    if text.lstrip().startswith("["):
        try:
            return [_locomo(item) for item in json.loads(text)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"{path} is not LoCoMo's JSON: {error!r}; messages are one JSON object a line"
            ) from error
    return _messages(path, text)


def _messages(path: Path, text: str) -> list[Transcript]:
    turns: dict[str, list[tuple[str, Message]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            conversation, message = _message(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(
                f"{path} line {number} is not a message: {error}; "
                'expected {"role": ..., "content": ..., "conversation_id"?, "name"?, "timestamp"?, "id"?}'
            ) from error
        turns.setdefault(conversation, []).append((conversation, message))
    if not turns:
        raise InvalidInputError(f"{path} holds no messages")
    return [Transcript(name, tuple(said)) for name, said in turns.items()]


def _message(data: dict[str, Any]) -> tuple[str, Message]:
    if data.get("role") not in ROLES:
        raise ValueError(f"role is {data.get('role')!r}, not one of {', '.join(ROLES)}")
    moment = data.get("timestamp")
    return str(data.get("conversation_id") or "transcript"), Message(
        role=data["role"],
        content=data.get("content") or "",
        name=data.get("name"),
        id=data.get("id"),
        timestamp=None if moment is None else datetime.fromisoformat(moment),
        tool_calls=tuple(ToolCall(**call) for call in data.get("tool_calls", ())),
        tool_call_id=data.get("tool_call_id"),
        metadata=data.get("metadata") or {},
    )


def _locomo(item: dict[str, Any]) -> Transcript:
    conversation = item["conversation"]
    turns = tuple(_locomo_turns(conversation))
    known = {message.id for _, message in turns}
    questions = (
        Question(q["question"], int(q["category"]), tuple(i for i in _ids(q.get("evidence", ())) if i in known))
        for q in item.get("qa", ())
    )
    return Transcript(str(item.get("sample_id", "locomo")), turns, tuple(q for q in questions if q.evidence))


def _locomo_turns(conversation: dict[str, Any]) -> Iterator[tuple[str, Message]]:
    numbers = sorted(int(m[1]) for key in conversation if (m := re.fullmatch(r"session_(\d+)", key)))
    for number in numbers:
        session = f"session_{number}"
        told = conversation[f"{session}_date_time"]
        moment = datetime.strptime(told, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for turn in conversation[session]:
            caption = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            yield (
                session,
                Message(
                    role="user",
                    name=turn["speaker"],
                    content=turn["text"] + caption,
                    id=turn["dia_id"],
                    timestamp=moment,
                ),
            )


def _ids(evidence: Any) -> list[str]:
    return [i for text in evidence for i in re.findall(r"D\d+:\d+", str(text))]
