"""Vectors in eight bits a component."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Quantized = tuple[bytes, float]
"""A vector in eight bits a component, and their scale."""


def quantized(vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32]) -> list[Quantized]:
    """Unit vectors as int8 with their scales: a quarter of the bytes at an error of cosine below .001."""
    rows = np.asarray(vectors, np.float32)
    if not len(rows):
        return []
    scales = np.abs(rows).max(axis=1) / 127
    scales[scales == 0] = 1.0
    steps = np.rint(rows / scales[:, None]).astype(np.int8)
    return [(row.tobytes(), scale) for row, scale in zip(steps, scales.tolist(), strict=True)]
