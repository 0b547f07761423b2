"""The local model: texts embedded together get the vectors they get alone, in order. What is remembered is small."""

from __future__ import annotations

import tracemalloc

import numpy as np

from memory_mgr.defaults.adapters import as_embedder
from memory_mgr.defaults.embedder import DIMENSIONS, LocalEmbedder
from memory_mgr.testing import FakeEmbedder


def test_texts_of_all_lengths_together_are_as_each_alone() -> None:
    """Whatever batches they are sorted into; no text at all is no vector."""
    embedder = LocalEmbedder()
    texts = [" ".join(["coffee", "in", "Berlin", f"number {n}"] * (1 + n % 7)) for n in range(21)]
    together = embedder.embed(texts, kind="document")
    alone = np.vstack([embedder.embed([text], kind="document") for text in texts])
    assert together.shape == (len(texts), DIMENSIONS)
    assert np.einsum("ij,ij->i", together, alone).min() > 0.99
    assert embedder.embed([], kind="document").shape == (0, DIMENSIONS)


def test_a_remembered_vector_does_not_keep_its_batch() -> None:
    """Of a thousand texts embedded together one vector is remembered: not the matrix it was a row of."""
    embedder = as_embedder(FakeEmbedder(dimensions=384), cache=1)
    texts = [f"river {n}" for n in range(1000)]
    matrix = embedder.embed(texts, kind="document")
    embedder.embed(texts[:2], kind="document")
    tracemalloc.start()
    try:
        embedder.embed(texts, kind="document")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < matrix.nbytes / 2
