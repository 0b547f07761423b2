"""Scores of different kinds on one scale, and the blend with a reranker."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.fusion import dense_scale, lexical_scale
from memory_mgr.policy.recall import Ranked
from memory_mgr.policy.rerank import blend

ANY = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20)


@given(ANY)
def test_scales_are_bounded(values: list[float]) -> None:
    """Whatever the scores, infinite and missing ones included, the result lies in [0, 1]."""
    for scaled in (lexical_scale(np.array(values, dtype=float), 1.0), dense_scale(np.clip(values, -1, 1), 0.15)):
        assert scaled.shape == (len(values),)
        assert np.all((scaled >= 0) & (scaled <= 1))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_scales_keep_the_order(values: list[float]) -> None:
    """A better score never becomes a worse one."""
    order = np.argsort(values, kind="stable")
    for scaled in (lexical_scale(np.array(values), 1.0), dense_scale(np.array(values), 0.15)):
        assert np.all(np.diff(scaled[order]) >= 0)


def test_weak_evidence_stays_weak() -> None:
    """In a namespace of three entries bm25 is about 1e-6: not to be read as a perfect match."""
    assert lexical_scale(np.array([1e-6, 0.0]), 1.0).max() < 0.01
    assert dense_scale(np.array([0.300, 0.301]), 0.15).min() > 0.9


RANKED = [Ranked(str(i), 1 - i / 10, {"lexical": 0.1}) for i in range(5)]


def test_blend_mixes_orders() -> None:
    """A reranker moves results by its share: with all of it its order holds, with none nothing changes."""
    scores = [0.0, 3.0, 9.0, 1.0, -2.0]
    assert [r.id for r in blend(RANKED, scores, weight=1)] == ["2", "1", "3", "0", "4"]
    assert blend(RANKED, scores, weight=0) == RANKED
    assert blend(RANKED, [], weight=1) == RANKED
    assert blend(RANKED, scores, weight=0.5)[0].parts["rerank"] > 0


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5), st.floats(0, 1))
def test_blend_loses_nothing_and_stays_sorted(scores: list[float], weight: float) -> None:
    """The same results come back, best first, in [0, 1]; those the reranker did not see stay behind."""
    mixed = blend(RANKED, scores, weight=weight)
    assert sorted(r.id for r in mixed) == sorted(r.id for r in RANKED)
    assert [r.id for r in mixed[len(scores) :]] == [r.id for r in RANKED[len(scores) :]]
    values = [r.score for r in mixed]
    assert all(math.isfinite(v) and 0 <= v <= 1 for v in values)
    assert values == sorted(values, reverse=True)
