"""Scores of different kinds on one scale.

Scores are fused, not ranks: on conversations reciprocal rank fusion was worse than words alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def lexical_scale(scores: Floats, floor: float) -> Floats:
    """bm25 scores in [0, 1] as a share of the best, or of `floor` if the best is less than that.

    In a namespace of a few entries bm25 has no statistics: a word in half of them weighs nothing, and
    dividing by such a best score would turn noise into certainty.
    """
    clean = np.nan_to_num(np.maximum(scores, 0.0), nan=0.0, posinf=0.0)
    return clean / max(float(clean.max(initial=0.0)), floor)


def dense_scale(cosines: Floats, span: float) -> Floats:
    """Cosines in [0, 1], from the least to the best, or over `span` below the best if they differ by less."""
    clean = np.nan_to_num(cosines, nan=-1.0)
    if clean.size == 0:
        return clean
    best = float(clean.max())
    width = max(best - float(clean.min()), span)
    return np.clip((clean - (best - width)) / width, 0.0, 1.0)
