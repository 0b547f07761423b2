"""Entries as rows of the catalog's tables. Pure, so that another thread can make them while SQLite is at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memory_mgr.policy.cues import is_question, speaker_of, substance
from memory_mgr.stores.filters import flatten
from memory_mgr.stores.lines import Line
from memory_mgr.stores.quantized import Quantized
from memory_mgr.types import PASSAGE

_NO_VECTOR = 0.0
"""The scale of an entry that is not found by its meaning: None keeps the vector that is there."""
_AS_IT_IS = (None, None)


COLUMNS_OF_ENTRIES, COLUMNS_OF_ATTRIBUTES = 20, 4


class Rows(NamedTuple):
    """What is to be written of some entries: row after row in one list, which Python's collector is soon through with.

    Attributes:
        entries: For the table of that name, all columns but those that only recall changes.
        attributes: For the table of that name: key, kind of value, value, row of the entry.
    """

    entries: list[object]
    attributes: list[object]


def rows_of(lines: Sequence[Line], vectors: Sequence[Quantized] | None, rowids: Mapping[str, int]) -> Rows:
    """The rows of entries.

    Args:
        lines: What to write.
        vectors: Of each; None keeps those that are there.
        rowids: Where each is to be, by its id.
    """
    written = zip(lines, [_AS_IT_IS] * len(lines) if vectors is None else vectors, strict=True)
    return Rows(
        [value for line, vector in written for value in _row(line, rowids[line.id], *vector)],
        [value for line in lines for told in flatten(line.metadata) for value in (*told, rowids[line.id])],
    )


def _row(line: Line, rowid: int, vector: bytes | None, scale: float | None) -> tuple[object, ...]:
    hidden = line.details.get("found_by") == []
    return (
        rowid,
        line.id,
        *line.shown,
        line.importance_score,
        line.expires_at,
        line.superseded_by,
        line.pinned,
        line.kind,
        line.details.get("whole") if line.kind == PASSAGE else None,
        line.record,
        line.speaker or speaker_of(line.content),
        substance(line.content),
        is_question(line.content),
        None if hidden else vector,
        _NO_VECTOR if hidden else scale,
    )
