"""What operations did to an entry, as it tells itself."""

from __future__ import annotations

from dataclasses import dataclass

from memory_mgr.types import JSON, MemoryEntry


@dataclass(frozen=True, slots=True)
class Change:
    """One change, latest last.

    Attributes:
        operation: Id to undo it by.
        kind: "merge", "prune", ...
        at: When, ISO 8601.
        why: Said to people.
    """

    operation: str
    kind: str
    at: str
    why: str


def changes_of(entry: MemoryEntry) -> list[Change]:
    """The changes that can be undone, the last one first."""
    told = entry.details.get("changes")
    records = [record for record in told if isinstance(record, dict)] if isinstance(told, list) else []
    return [_change(record) for record in reversed(records)]


def _change(record: dict[str, JSON]) -> Change:
    operation, kind, at, why = (str(record.get(name, "")) for name in ("op", "kind", "at", "why"))
    return Change(operation, kind, at[:16].replace("T", " "), why)
