"""What embedded Chroma saves of a vector index, read without Chroma: it cannot read all of what a kill may leave.

An index is a folder. hnswlib keeps its elements in `data_level0.bin`, each of the same size: links to others, the
vector, a label; how large these are is in `header.bin`. Which id has which label is in `index_metadata.pickle`. Chroma
overwrites them in place, the pickle last, so that the pickle may be older than the rest (chromadb 1.5.9).
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LABELS = "index_metadata.pickle"
_HEADER, _ELEMENTS = "header.bin", "data_level0.bin"
_FIELDS = struct.Struct("=i6Q")
"""Version, offset, capacity, elements, bytes of an element, where in it the label is, and where the vector."""
_VERSION = 1
_LABEL_BYTES = 8
_DELETED = 1 << 16
"""A mark in the first four bytes of an element."""
_NOTHING: tuple[list[str], NDArray[np.float32]] = [], np.empty((0, 0), np.float32)
_UNIT = 1e-3
"""How far from 1 the length of a stored vector may be; farther, something else was written over it."""


class _Shape(NamedTuple):
    """Of an element, in bytes."""

    elements: int
    size: int
    label: int
    vector: int


def looks_whole(index: Path) -> bool:
    """Whether the files of an index are there, complete and of one size; takes as long for a large one.

    Args:
        index: Its folder.
    """
    try:
        shape = _shape(index)
        with (index / LABELS).open("rb") as labels:
            labels.seek(-1, 2)
            ended = labels.read() == pickle.STOP
        return ended and (index / _ELEMENTS).stat().st_size >= shape.elements * shape.size
    except (OSError, ValueError):
        return False


def is_whole(index: Path) -> bool:
    """Whether the files of an index tell one story: the labels of what is not deleted are those that have an id.

    Args:
        index: Its folder.
    """
    try:
        shape = _shape(index)
        elements = _elements(index, shape)
        alive = elements[:, :4].copy().view("<u4")[:, 0] & _DELETED == 0
        labels = _labels(elements, shape)[alive].tolist()
        return len(elements) == shape.elements and set(labels) == set(labels_of_ids(index).values())
    except (OSError, ValueError):
        return False


def saved_vectors(index: Path, ids: Iterable[str]) -> tuple[list[str], NDArray[np.float32]]:
    """The vectors that an index has of some ids, as many as can be told from its files.

    Args:
        index: Its folder.
        ids: Whose vectors, which have unit length, did not change since the pickle was saved.

    Returns:
        The ids it has, and their vectors of shape (ids, dimensions).
    """
    try:
        shape = _shape(index)
        elements = _elements(index, shape)
        label_of = labels_of_ids(index)
    except (OSError, ValueError):
        return _NOTHING
    row_of = {label: row for row, label in enumerate(_labels(elements, shape).tolist())}
    found = [(i, row_of[label_of[i]]) for i in ids if label_of.get(i) in row_of]
    if not found:
        return _NOTHING
    rows = elements[[row for _, row in found], shape.vector : shape.label]
    vectors = np.ascontiguousarray(rows).view("<f4").reshape(len(found), -1)
    sound = np.abs(np.linalg.norm(vectors, axis=1) - 1.0) <= _UNIT
    return [i for (i, _), good in zip(found, sound, strict=True) if good], vectors[sound]


def labels_of_ids(index: Path) -> dict[str, int]:
    """The label of each id that an index has.

    Args:
        index: Its folder.

    Raises:
        OSError: There are none.
        ValueError: They cannot be read.
    """
    with (index / LABELS).open("rb") as file:
        try:
            told = _Plain(file).load()
            return {str(i): int(label) for i, label in told["id_to_label"].items()}
        except Exception as error:  # what was written over may be read as anything
            raise ValueError(f"the labels cannot be read: {error}") from error


def _shape(index: Path) -> _Shape:
    """Raises OSError or ValueError if there is no header, or one that cannot be."""
    data = (index / _HEADER).read_bytes()
    if len(data) < _FIELDS.size:
        raise ValueError("the header is cut off")
    version, offset, _, elements, size, label, vector = _FIELDS.unpack_from(data)
    fits = vector < label and (label - vector) % 4 == 0 and label + _LABEL_BYTES == size
    if version != _VERSION or offset != 0 or not fits:
        raise ValueError("the header is of something else")
    return _Shape(elements, size, label, vector)


def _elements(index: Path, shape: _Shape) -> NDArray[np.uint8]:
    # Behind the elements there is room for more, with anything in it, also what looks like one of them.
    data = np.memmap(index / _ELEMENTS, np.uint8, "r")
    return data[: min(len(data) // shape.size, shape.elements) * shape.size].reshape(-1, shape.size)


def _labels(elements: NDArray[np.uint8], shape: _Shape) -> NDArray[np.uint64]:
    return np.ascontiguousarray(elements[:, shape.label :]).view("<u8")[:, 0]


class _Plain(pickle.Unpickler):
    """Makes numbers, texts and dictionaries only: a pickle may name any function otherwise, to be called."""

    def find_class(self, module: str, name: str) -> Any:
        """Refused."""
        raise pickle.UnpicklingError(f"{module}.{name} has no place in an index")
