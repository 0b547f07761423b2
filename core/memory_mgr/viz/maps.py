"""A memory seen from above: what lies near what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memory_mgr.display.palette import CYCLE, GREY
from memory_mgr.errors import InvalidInputError
from memory_mgr.types import MemoryEntry
from memory_mgr.viz.canvas import canvas, needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float32]

_WORD = re.compile(r"[^\W\d_]{4,}")
_ROUNDS = 25
"""Rounds of k-means; a few hundred entries settle within ten."""


def embedding_map(entries: Sequence[MemoryEntry], *, clusters: int = 5, ax: Axes | None = None) -> Axes:
    """Embeddings in two dimensions (their principal components), coloured by cluster (k-means), named by their words.

    Args:
        entries: With embeddings, as `search_memory(..., with_embeddings=True)` gives them; at least three.
        clusters: Groups to look for; >= 1.
        ax: Where to draw.

    Raises:
        InvalidInputError: There are fewer than three entries, or one has no embedding.
        MissingDependencyError: matplotlib is not installed.
    """
    needed(entries, "entries")
    if len(entries) < 3 or any(entry.embedding is None for entry in entries):
        raise InvalidInputError("a map needs three entries or more, each with its embedding (with_embeddings=True)")
    vectors = np.asarray([entry.embedding for entry in entries], np.float32)
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    points = centred @ axes[:2].T
    groups = k_means(vectors, min(clusters, len(entries)))
    ax = canvas(ax, title="Map of embeddings", height=5, frame=False)
    for group in np.unique(groups):
        own = groups == group
        colour = CYCLE[int(group) % len(CYCLE)]
        ax.scatter(points[own, 0], points[own, 1], color=colour, s=30, alpha=0.75)
        name = _name([entry.content for entry, member in zip(entries, own, strict=True) if member], entries)
        ax.annotate(name, tuple(points[own].mean(axis=0)), color=GREY, weight="bold", fontsize=9, ha="center")
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def k_means(vectors: Matrix, clusters: int) -> NDArray[np.int64]:
    """The cluster of each row, by Lloyd's rounds from centres that lie far apart; always the same for the same rows.

    Args:
        vectors: Shape (n, dimensions), n >= clusters.
        clusters: >= 1.
    """
    centres = vectors[:1]
    while len(centres) < clusters:
        centres = np.vstack([centres, vectors[_distances(vectors, centres).min(axis=1).argmax()]])
    for _ in range(_ROUNDS):
        groups = _distances(vectors, centres).argmin(axis=1)
        moved = [vectors[groups == g].mean(axis=0) if (groups == g).any() else centres[g] for g in range(clusters)]
        centres = np.asarray(moved, np.float32)
    return np.asarray(groups, np.int64)


def _distances(vectors: Matrix, centres: Matrix) -> Matrix:
    """Squared distances, shape (rows, centres)."""
    return np.asarray(((vectors[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2), np.float32)


def _name(texts: Sequence[str], entries: Sequence[MemoryEntry], words: int = 2) -> str:
    """The words that are most over-represented in a cluster."""
    inside = Counter(word for text in texts for word in set(_WORD.findall(text.lower())))
    overall = Counter(word for entry in entries for word in set(_WORD.findall(entry.content.lower())))
    ranked = sorted(inside, key=lambda word: (-(inside[word] ** 2) / overall[word], word))
    return ", ".join(ranked[:words])
