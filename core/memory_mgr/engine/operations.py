"""Changes that can be taken back.

What consolidation, pruning and superseding change is written into the entries themselves, under "changes" in
`details`: which operation, when, why, and what was there before. So a change and the way back are one write, and
nothing beside Chroma has to be kept for it. Undoing an operation puts back what was there before.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from memory_mgr.errors import InvalidInputError
from memory_mgr.stores.repository import Repository
from memory_mgr.types import JSON, MemoryEntry

CHANGES = "changes"
_TIMES = ("expires_at",)
_TUPLES = ("derived_from",)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry, the fields that change, and why.

    Attributes:
        entry: As it is.
        fields: New values of fields of `MemoryEntry`; `details` are merged into those that are there.
        why: Said to people.
        kind: As in `Action`, "" if it is only the other side of another change.
        other: As in `Action`.
    """

    entry: MemoryEntry
    fields: dict[str, Any]
    why: str
    kind: str = ""
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """Changes made together.

    Attributes:
        kind: "merge", "supersede", "prune".
        at: When.
        by: Who, None if nobody was named.
        id: To undo it by.
    """

    kind: str
    at: datetime
    by: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def apply(self, repository: Repository, changes: Sequence[Change]) -> list[MemoryEntry]:
        """Store the changes; the entries as they are then. The caller holds the repository's lock.

        An entry that was changed or deleted since it was read is left as it is.
        """
        current = {e.id: e.revision for e in repository.read(lambda c: c.by_ids([x.entry.id for x in changes]))}
        changed = [self._changed(x) for x in changes if current.get(x.entry.id) == x.entry.revision]
        if changed:
            repository.rewrite(changed)
        return changed

    def _changed(self, change: Change) -> MemoryEntry:
        entry, fields = change.entry, dict(change.fields)
        before: dict[str, JSON] = {name: plain(getattr(entry, name)) for name in fields if name != "details"}
        details = dict(entry.details)
        if "details" in fields:
            new = fields.pop("details")
            before["details"] = {name: details[name] for name in new if name in details}
            before["details_new"] = [name for name in new if name not in details]
            details |= new
        record: dict[str, JSON] = {
            "op": self.id,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "by": self.by,
            "why": change.why,
            "before": before,
        }
        details[CHANGES] = [*_changes(entry), record]
        return entry.with_changes(**fields, details=details, revision=entry.revision + 1)


def undo(repository: Repository, operation_id: str) -> int:
    """Put back what an operation changed; how many entries it was.

    Raises:
        InvalidInputError: There is no such operation, or a later one changed the same entries.
    """
    with repository.lock:
        touched = repository.read(lambda catalog: catalog.mentioning(f'"op":"{operation_id}"'))
        touched = [entry for entry in touched if any(change["op"] == operation_id for change in _changes(entry))]
        if not touched:
            raise InvalidInputError(f"no operation {operation_id!r} to undo; reports and histories name their ids")
        for entry in touched:
            last = _changes(entry)[-1]
            if last["op"] != operation_id:
                raise InvalidInputError(f"entry {entry.id!r} was changed later by {last['op']!r}; undo that first")
        repository.rewrite([_restored(entry, operation_id) for entry in touched])
        return len(touched)


def _restored(entry: MemoryEntry, operation_id: str) -> MemoryEntry:
    """The entry before an operation that changed it last, be it several times."""
    restored = entry
    while (changes := _changes(restored)) and changes[-1]["op"] == operation_id:
        restored = _one_change_back(restored)
    return restored.with_changes(revision=entry.revision + 1)


def _one_change_back(entry: MemoryEntry) -> MemoryEntry:
    *earlier, last = _changes(entry)
    before = dict(cast("dict[str, JSON]", last["before"]))
    details = {name: value for name, value in entry.details.items() if name != CHANGES}
    for name in cast("list[str]", before.pop("details_new", [])):
        details.pop(name, None)
    details |= cast("dict[str, JSON]", before.pop("details", {}))
    if earlier:
        details[CHANGES] = earlier
    fields = {name: _typed(name, value) for name, value in before.items()}
    return entry.with_changes(**fields, details=details)


def _changes(entry: MemoryEntry) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", entry.details.get(CHANGES, []))


def plain(value: Any) -> JSON:
    """A field's value as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _typed(name: str, value: Any) -> Any:
    if name in _TIMES and value is not None:
        return datetime.fromisoformat(value)
    return tuple(value) if name in _TUPLES else value
