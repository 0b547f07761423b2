"""The catalog's int8 vectors in memory, so that any few thousand of them are compared in a millisecond or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

LIMIT_BYTES = 256 * 2**20
"""Namespaces whose vectors take more are read from SQLite each time."""
_GROWTH = 1.5
_PART = 4096
"""Vectors read together, so that all of them are in memory once only."""


Quantized = tuple[bytes, float]
"""A vector in eight bits a component, and their scale."""


class VectorCache:
    """Vectors by row of the catalog. Not thread-safe: the catalog's lock guards it.

    Args:
        rows: (rowid, int8 bytes, scale) of all vectors.
        count: How many at least; memory is taken for so many at once.
    """

    def __init__(self, rows: Iterable[tuple[int, bytes, float]], count: int = 0) -> None:
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._matrix = np.empty((0, 0), np.int8)
        self._scales = np.empty(0, np.float32)
        rows = iter(rows)
        while part := list(islice(rows, _PART)):
            first = len(self._slots)
            if first + len(part) > len(self._scales):
                self._grow(max(count, first + len(part)), len(part[0][1]))
            end = first + len(part)
            self._matrix[first:end] = np.frombuffer(b"".join(row[1] for row in part), np.int8).reshape(len(part), -1)
            self._scales[first:end] = [row[2] for row in part]
            self._slots.update((row[0], slot) for slot, row in enumerate(part, first))

    def put(self, rowid: int, vector: bytes, scale: float) -> None:
        """Remember a vector."""
        slot = self._slots.get(rowid)
        if slot is None:
            slot = self._slots[rowid] = self._free.pop() if self._free else len(self._slots)
        if slot >= len(self._scales) or not self._matrix.shape[1]:
            self._grow(slot + 1, len(vector))
        self._matrix[slot] = np.frombuffer(vector, np.int8)
        self._scales[slot] = scale

    def _grow(self, least: int, width: int) -> None:
        size = max(least, int(len(self._scales) * _GROWTH), 64)
        matrix, scales = np.zeros((size, width), np.int8), np.zeros(size, np.float32)
        matrix[: len(self._scales), : self._matrix.shape[1]] = self._matrix
        scales[: len(self._scales)] = self._scales
        self._matrix, self._scales = matrix, scales

    def remove(self, rowid: int) -> None:
        """Forget a vector."""
        slot = self._slots.pop(rowid, None)
        if slot is not None:
            self._free.append(slot)

    def cosines(self, query: NDArray[np.float32], rowids: Iterable[int]) -> NDArray[np.float32]:
        """Cosine of the query, shape (dimensions,), with each row; -1 for rows without a vector."""
        slots = np.fromiter((self._slots.get(rowid, -1) for rowid in rowids), np.int64)
        if not slots.size or not self._slots:
            return np.full(slots.size, -1.0, np.float32)
        # Not `@`: its threads go on spinning for milliseconds after a product as small as this.
        scores = np.einsum("ij,j->i", self._matrix[slots], query) * self._scales[slots]
        scores[slots < 0] = -1.0
        return np.asarray(scores, np.float32)

    @property
    def bytes(self) -> int:
        """Memory taken by the vectors."""
        return self._matrix.nbytes + self._scales.nbytes


def quantized(vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> list[Quantized]:
    """Unit vectors as int8 with their scales: a quarter of the bytes at an error of cosine below .001."""
    rows = np.asarray(vectors, np.float32)
    if not len(rows):
        return []
    scales = np.abs(rows).max(axis=1) / 127
    scales[scales == 0] = 1.0
    steps = np.rint(rows / scales[:, None]).astype(np.int8)
    return [(row.tobytes(), scale) for row, scale in zip(steps, scales.tolist(), strict=True)]
