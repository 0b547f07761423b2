"""BM25 over the columns of an entry, as SQLite's FTS5 weighs them, but that a word counts once in each column.

FTS5 reads the sizes and all places of every match again to score it, ten times what finding the match takes; with what
is known of entries in memory, the rows alone are enough. A message seldom says a word twice: on LoCoMo R@10 is .853
instead of .854 by conversation, .844 instead of .841 with five conversations in one namespace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.fusion import Floats

Numbers = NDArray[np.int64]
_K1, _B, _LEAST_IDF = 1.2, 0.75, 1e-6
"""FTS5's own, see https://sqlite.org/fts5.html#the_bm25_function; what most entries hold counts next to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Where a word occurs.

    Attributes:
        entries: For each column the numbers of the entries that hold it there, each once.
        count: In how many entries of all it occurs in any column; >= 1.
    """

    entries: Sequence[Numbers]
    count: int


def matched(words: Sequence[Postings]) -> Numbers:
    """The numbers of all entries that hold any of these words, in ascending order."""
    found = np.concatenate([np.empty(0, np.int64), *(entries for word in words for entries in word.entries)])
    there = np.zeros(int(found.max(initial=-1)) + 1, bool)  # numbers are small: less work than sorting them
    there[found] = True
    return np.flatnonzero(there)


def bm25(
    entries: Numbers,
    lengths: NDArray[np.int32],
    words: Sequence[Postings],
    weights: Sequence[float],
    *,
    among: int,
    mean_length: float,
) -> Floats:
    """The score of each entry, bigger is better.

    Args:
        entries: From `matched`, shape (n,).
        lengths: Words in all columns of each, shape (n,).
        words: Of the query.
        weights: One per column.
        among: Entries there are in all.
        mean_length: Words an entry, of all there are.
    """
    place = np.empty(int(entries.max(initial=-1)) + 1, np.int64)
    place[entries] = np.arange(len(entries))
    dampened = _K1 * (1 - _B + _B * lengths / max(mean_length, 1.0))
    scores = np.zeros(len(entries))
    for word in words:
        occurrences = np.zeros(len(entries))
        for weight, holding in zip(weights, word.entries, strict=True):
            occurrences[place[holding]] += weight
        idf = max(_LEAST_IDF, float(np.log((max(among, word.count) - word.count + 0.5) / (word.count + 0.5))))
        scores += idf * occurrences * (_K1 + 1) / (occurrences + dampened)
    return scores
