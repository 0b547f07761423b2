"""The vectors in memory say what the vectors in SQLite say, whatever is written and removed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.stores.vector_cache import VectorCache, quantized

_STEPS = st.lists(st.tuples(st.sampled_from(["put", "remove"]), st.integers(1, 12), st.integers(0, 7)), max_size=60)


@given(start=st.dictionaries(st.integers(1, 12), st.integers(0, 7), max_size=5), steps=_STEPS)
def test_it_follows_every_change(start: dict[int, int], steps: list[tuple[str, int, int]]) -> None:
    """Rows are found with the vector last put, rows removed or never put score -1."""
    axes = np.eye(8, dtype=np.float32)
    cache = VectorCache([(rowid, *quantized(axes[[axis]])[0]) for rowid, axis in start.items()])
    model = dict(start)
    for step, rowid, axis in steps:
        if step == "put":
            cache.put(rowid, *quantized(axes[[axis]])[0])
            model[rowid] = axis
        else:
            cache.remove(rowid)
            model.pop(rowid, None)
    for axis in range(8):
        expected = [-1.0 if rowid not in model else float(model[rowid] == axis) for rowid in range(1, 13)]
        np.testing.assert_allclose(cache.cosines(axes[axis], range(1, 13)), expected, atol=1e-6)
