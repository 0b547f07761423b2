"""The local model: texts embedded together get the vectors they get alone, in order."""

from __future__ import annotations

import numpy as np

from memory_mgr.defaults.embedder import DIMENSIONS, LocalEmbedder


def test_texts_of_all_lengths_together_are_as_each_alone() -> None:
    """Whatever batches they are sorted into; no text at all is no vector."""
    embedder = LocalEmbedder()
    texts = [" ".join(["coffee", "in", "Berlin", f"number {n}"] * (1 + n % 7)) for n in range(21)]
    together = embedder.embed(texts, kind="document")
    alone = np.vstack([embedder.embed([text], kind="document") for text in texts])
    assert together.shape == (len(texts), DIMENSIONS)
    assert np.einsum("ij,ij->i", together, alone).min() > 0.99
    assert embedder.embed([], kind="document").shape == (0, DIMENSIONS)
