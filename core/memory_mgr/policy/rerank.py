"""Blending in the scores of an optional reranker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from memory_mgr.policy.recall import Ranked


def blend(ranked: Sequence[Ranked], scores: Sequence[float], *, weight: float) -> list[Ranked]:
    """The ranking with a reranker's opinion of its first `len(scores)` results mixed in.

    Replacing the order by a reranker's hurts as often as it helps (systems disagree by 10 points either way),
    so the two are averaged on one scale. Results beyond the first stay behind, in their order. A score that
    is not finite counts as the least.

    Args:
        ranked: Best first.
        scores: The reranker's, any scale, bigger is better, for `ranked[: len(scores)]`.
        weight: The reranker's share, in [0, 1]; 0 changes nothing.
    """
    if weight <= 0 or not scores:
        return list(ranked)
    head, tail = ranked[: len(scores)], ranked[len(scores) :]
    finite = [s for s in scores if math.isfinite(s)]
    least = min(finite, default=0.0)
    opinion = _unit([s if math.isfinite(s) else least for s in scores][: len(head)])
    own = _unit([r.score for r in head])
    top = max((r.score for r in head), default=0.0)
    floor = max((r.score for r in tail), default=0.0)
    mixed = [(1 - weight) * a + weight * b for a, b in zip(own, opinion, strict=True)]
    order = sorted(range(len(head)), key=lambda i: (-mixed[i], i))
    blended = [
        replace(
            head[i],
            score=floor + (top - floor) * mixed[i],
            parts={**head[i].parts, "rerank": weight * opinion[i]},
        )
        for i in order
    ]
    return [*blended, *tail]


def _unit(values: Sequence[float]) -> list[float]:
    """`values` on [0, 1] from the least to the most; all 1 if they are equal."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return [1.0 for _ in values]
    return [(v / 2 - low / 2) / (high / 2 - low / 2) for v in values]  # halved: the range of doubles may overflow
