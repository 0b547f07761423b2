"""A memory as plain dictionaries: what it should hold, and which entries a filter should let through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

GRACE = timedelta(days=30)


@dataclass(frozen=True)
class Kept:
    """One entry as the model knows it; `tier` is None for messages, which move by themselves."""

    content: str
    tier: str | None
    metadata: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    expires: datetime | None = None
    superseded: bool = False
    kind: str = "memory"

    def visible(self, now: datetime) -> bool:
        """Neither superseded nor expired."""
        return not self.superseded and (self.expires is None or self.expires > now)


class Model:
    """The entries of one namespace by id, the messages of its conversations in order, the slots of their tasks."""

    def __init__(self) -> None:
        self.entries: dict[str, Kept] = {}
        self.messages: dict[str, list[tuple[str, str]]] = {}
        self.slots: dict[str, dict[str, Any]] = {}

    def memories(self) -> dict[str, Kept]:
        """What was added as a memory."""
        return {i: kept for i, kept in self.entries.items() if kept.kind == "memory"}

    def change(self, memory_id: str, **fields: Any) -> None:
        """Fields of one entry, if it is known."""
        if memory_id in self.entries:
            self.entries[memory_id] = replace(self.entries[memory_id], **fields)

    def sweep(self, now: datetime) -> None:
        """Delete what expired longer ago than the grace period."""
        gone = {i for i, kept in self.entries.items() if kept.expires is not None and kept.expires <= now - GRACE}
        for memory_id in gone:
            del self.entries[memory_id]
        for conversation, said in self.messages.items():
            self.messages[conversation] = [(i, text) for i, text in said if i not in gone]

    def selected(
        self, now: datetime, tiers: Iterable[str] | None, filters: Mapping[str, Any] | None, *, hidden: bool = False
    ) -> set[str]:
        """Ids of the memories that a listing should have."""
        return {
            i
            for i, kept in self.memories().items()
            if (hidden or kept.visible(now))
            and (tiers is None or kept.tier in set(tiers))
            and (not filters or holds(filters, kept))
        }


def holds(expression: Mapping[str, Any], kept: Kept) -> bool:
    """A filter evaluated by its documentation, the slow way."""
    return all(_holds(name, value, kept) for name, value in expression.items())


def _holds(name: str, value: Any, kept: Kept) -> bool:
    if name == "$and":
        return all(holds(part, kept) for part in value)
    if name == "$or":
        return any(holds(part, kept) for part in value)
    if name == "$not":
        return not holds(value, kept)
    stored: Any = kept.source if name == "source" else kept.metadata.get(name, _MISSING)
    operations = value if isinstance(value, dict) else {"$eq": value}
    return all(_compares(operator, stored, operand) for operator, operand in operations.items())


_MISSING = object()


def _compares(operator: str, stored: Any, operand: Any) -> bool:
    if operator == "$ne":
        return not _compares("$eq", stored, operand)
    if operator == "$nin":
        return not _compares("$in", stored, operand)
    if operator == "$in":
        return any(_compares("$eq", stored, item) for item in operand)
    if operator == "$contains":
        if isinstance(stored, list):
            return any(_same(item, operand) for item in stored)
        return isinstance(stored, str) and isinstance(operand, str) and operand in stored
    if operator == "$eq":
        return _same(stored, operand)
    if _kind(stored) != _kind(operand):
        return False
    return bool({"$gt": stored > operand, "$gte": stored >= operand, "$lt": stored < operand}[operator])


def _same(stored: Any, operand: Any) -> bool:
    return _kind(stored) == _kind(operand) and stored == operand


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__
