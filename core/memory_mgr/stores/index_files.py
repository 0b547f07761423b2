"""What embedded Chroma saves of a vector index, read without Chroma, which believes whatever a kill has left.

An index is a folder. hnswlib keeps its elements in `data_level0.bin`, each of the same size: links to others, the
vector, a label; how large these are is in `header.bin`. Few elements are on higher levels too: their links there are in
`link_lists.bin`, one list after the other, each with its length before it. Which id has which label is in
`index_metadata.pickle`. Chroma overwrites all of them in place, the pickle last, so that after a kill they may be of
two states (chromadb 1.5.9). Some of these it refuses to read, others crash it, and a length that is none makes it read
gigabytes of anything and save them again. What is checked here is what later versions of Chroma check themselves.
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
_HEADER, _ELEMENTS, _LISTS = "header.bin", "data_level0.bin", "link_lists.bin"
_FIELDS = struct.Struct("=i6QiI2Q")
"""Version, offset, capacity, elements, bytes of an element, where in it the label is, and where the vector, the highest
level, the element to begin at, links of an element on a higher level and on the lowest."""
_VERSION = 1
_LABEL_BYTES = 8
_DELETED, _DEGREE = 1 << 16, 0xFFFF
"""In the first four bytes of an element: a mark, and how many links it has."""
_NOTHING: tuple[list[str], NDArray[np.float32]] = [], np.empty((0, 0), np.float32)
_PART = 65_536
"""Elements looked at together."""
_UNIT = 1e-3
"""How far from 1 the length of a stored vector may be; farther, something else was written over it."""


class _Shape(NamedTuple):
    """What the header tells; sizes in bytes."""

    elements: int
    size: int
    label: int
    vector: int
    top: int
    begin: int
    links_above: int
    links: int


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
    """Whether the files of an index tell one story.

    The labels of what is not deleted are those that have an id, and all links lead to elements. Takes about a second
    for a million elements.

    Args:
        index: Its folder.
    """
    try:
        shape = _shape(index)
        elements = _elements(index, shape)
        if len(elements) < shape.elements or (shape.elements and shape.begin >= shape.elements):
            return False
        first = _integers(elements[:, :4])[:, 0]
        labels = _labels(elements, shape)[first & _DELETED == 0]
        told = labels_of_ids(index).values()
        return len(labels) == len(told) and set(labels.tolist()) == set(told) and _links_lead_on(index, shape, elements)
    except (OSError, ValueError):
        return False


def _links_lead_on(index: Path, shape: _Shape, elements: NDArray[np.uint8]) -> bool:
    """Whether every link, on all levels, is one to an element."""
    parts = (elements[start : start + _PART, : shape.vector] for start in range(0, len(elements), _PART))
    lowest = all(_lead_on(_integers(part), shape.elements) for part in parts)
    return lowest and _lead_on(_lists_above(index, shape), shape.elements)


def _lists_above(index: Path, shape: _Shape) -> NDArray[np.uint32]:
    """The lists of links on higher levels, shape (lists, 1 + links); raises ValueError if they cannot be such."""
    numbers, width = np.fromfile(index / _LISTS, "<u4"), 1 + shape.links_above
    filled, starts = np.flatnonzero(numbers), [np.empty(0, np.int64)]
    at = element = 0
    # Each element has one number, 0 for most; where it is not, as many bytes of lists follow.
    while element < shape.elements:
        place = int(np.searchsorted(filled, at))
        empty = (int(filled[place]) if place < len(filled) else len(numbers)) - at
        element, at = element + empty, at + empty
        if element >= shape.elements:
            break
        levels, rest = divmod(int(numbers[at]) if at < len(numbers) else 0, 4 * width)
        following = at + 1 + levels * width
        if rest or not 0 < levels <= shape.top or following > len(numbers):
            raise ValueError("links are missing or of no length that they can have")
        starts.append(np.arange(at + 1, following, width))
        element, at = element + 1, following
    lists: NDArray[np.uint32] = numbers[np.concatenate(starts)[:, None] + np.arange(width)]
    return lists


def _lead_on(lists: NDArray[np.uint32], elements: int) -> bool:
    """Whether lists of links, each led by their number, shape (lists, 1 + links), hold elements only."""
    degrees, most = lists[:, 0] & _DEGREE, lists.shape[1] - 1
    used = np.arange(most) < degrees[:, None]
    return bool((degrees <= most).all() and (lists[:, 1:][used] < elements).all())


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
    version, offset, capacity, elements, size, label, vector, top, begin, above, links = _FIELDS.unpack_from(data)
    fits = vector == 4 + 4 * links and vector < label and (label - vector) % 4 == 0 and label + _LABEL_BYTES == size
    if version != _VERSION or offset != 0 or not fits or not 0 < above <= links or elements > capacity:
        raise ValueError("the header is of something else")
    return _Shape(elements, size, label, vector, top, begin, above, links)


def _elements(index: Path, shape: _Shape) -> NDArray[np.uint8]:
    # Behind the elements there is room for more, with anything in it, also what looks like one of them.
    data = np.memmap(index / _ELEMENTS, np.uint8, "r")
    return data[: min(len(data) // shape.size, shape.elements) * shape.size].reshape(-1, shape.size)


def _integers(columns: NDArray[np.uint8]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(columns).view("<u4")


def _labels(elements: NDArray[np.uint8], shape: _Shape) -> NDArray[np.uint64]:
    return np.ascontiguousarray(elements[:, shape.label :]).view("<u8")[:, 0]


class _Plain(pickle.Unpickler):
    """Makes numbers, texts and dictionaries only: a pickle may name any function otherwise, to be called."""

    def find_class(self, module: str, name: str) -> Any:
        """Refused."""
        raise pickle.UnpicklingError(f"{module}.{name} has no place in an index")
