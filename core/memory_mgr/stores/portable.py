"""Entries as lines of a file that can be taken anywhere: what `export_memories` writes.

The first line says what the file is: format, number of entries and, with vectors, whose they are. Every further line
is one entry, a JSON object: tier, text, the fields of `codec.record_of`, and its vectors if they were asked for. The
namespace is left out, so that a file can be read into another one. A line stands for itself: the passages of a long
text are not lines of their own, only their vectors come along, in order.

A vector is written as 16-bit steps of its largest component, in base64. Chroma scales what it is given to length 1,
which moves the last bit of a float; relative to the largest component nothing moves, so that what was exported,
imported and exported again is the same text. The error in cosine is below 1e-8.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.codec import as_json, record_of
from memory_mgr.stores.selection import Selection
from memory_mgr.types import MemoryEntry

FORMAT = "memory-mgr export"
VERSION = 1
"""Raised when lines are written differently; files with a higher one are refused."""

_STEPS = 32767
_LINE_ENDS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"}
"""Legal inside JSON text, but many programs that read lines end one there."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line.

    Attributes:
        entries: Lines that follow.
        space: Whose vectors come along, None = there are none.
    """

    entries: int
    space: EmbeddingSpace | None = None

    def line(self) -> str:
        """As it is written."""
        told: dict[str, Any] = {"format": FORMAT, "version": VERSION, "entries": self.entries}
        if self.space is not None:
            told |= {"embedder": self.space.embedder, "dimensions": self.space.dimensions}
        return as_json(told)


def read_header(line: str) -> Header:
    """The header that a line is.

    Raises:
        ValueError: It is none, or of a newer version; the message says which.
    """
    try:
        told = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ValueError(f'is not the first line of an export, which has "format":"{FORMAT}"')
    version, entries = told.get("version"), told.get("entries")
    if not isinstance(version, int) or not isinstance(entries, int) or entries < 0:
        raise ValueError("names no version or no number of entries")
    if version > VERSION:
        raise ValueError(f"has version {version}, this memory-mgr reads up to {VERSION}; upgrade memory-mgr")
    if "embedder" not in told:
        return Header(entries)
    if not isinstance(told["embedder"], str) or not isinstance(told.get("dimensions"), int):
        raise ValueError("names an embedder without its dimensions")
    return Header(entries, EmbeddingSpace(told["embedder"], told["dimensions"]))


def entry_line(entry: MemoryEntry, vectors: Sequence[NDArray[np.float32]] = ()) -> str:
    """An entry as a line; `vectors` are its own and those of its passages, in order."""
    line = {"tier": entry.memory_type.value, "text": entry.content, **record_of(entry)}
    if vectors:
        line["vectors"] = [encode_vector(vector) for vector in vectors]
    return as_json(line).translate(_LINE_ENDS)


def encode_vector(vector: NDArray[np.float32]) -> str:
    """A vector that is not all zeros as text."""
    wide = vector.astype(np.float64)
    steps = np.rint(wide / np.abs(wide).max() * _STEPS).astype("<i2")
    return base64.b64encode(steps.tobytes()).decode()


def decode_vector(text: object, dimensions: int) -> NDArray[np.float32]:
    """The vector of length 1 that a text is.

    Raises:
        ValueError: It is none of so many dimensions.
    """
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except binascii.Error as error:
        raise ValueError(f"has a vector that is not base64 ({error})") from error
    if len(raw) != 2 * dimensions:
        raise ValueError(f"has a vector that is not of {dimensions} dimensions")
    wide = np.frombuffer(raw, "<i2").astype(np.float64)
    length = np.linalg.norm(wide)
    if not length:
        raise ValueError("has a vector of zeros")
    return (wide / length).astype(np.float32)


def ids_in_order(catalog: Catalog, selection: Selection) -> list[str]:
    """The ids of a selection in an order that depends on nothing but the entries."""
    condition, parameters = selection.where()
    rows = catalog.all_rows(f"SELECT id FROM entries WHERE {condition} ORDER BY ts, seq, id", parameters)
    return [str(row[0]) for row in rows]
