"""Long texts as overlapping passages, and which passage of a text fits a query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memory_mgr.policy.lexical import words

_WORD = re.compile(r"\S+")
_WIDE_RUN = 40
"""A run of characters without spaces longer than this is cut: scripts without spaces, encoded data."""
_BREAK = re.compile(r"[.!?。！？؟]['\")\]]*$|\n\s*\n")


@dataclass(frozen=True, slots=True)
class Passage:
    """Characters `start` to `end` (exclusive) of a text."""

    start: int
    end: int


def split_passages(text: str, max_words: int = 180, overlap: int = 40) -> list[Passage]:
    """`text` in passages of at most `max_words` words that share `overlap` words with the one before.

    180 words are about the 256 tokens that the default embedder reads. A passage ends with a sentence if one
    ends in its last third.

    Raises:
        ValueError: Unless 0 <= overlap < max_words.
    """
    if not 0 <= overlap < max_words:
        raise ValueError(f"overlap must be in [0, max_words), got {overlap} of {max_words}; a third or less is usual")
    spans = _word_spans(text)
    passages: list[Passage] = []
    first = 0
    while first < len(spans):
        last = _end_of_passage(text, spans, first, max_words)
        passages.append(Passage(spans[first][0], spans[last][1]))
        if last == len(spans) - 1:
            break
        first = max(first + 1, last + 1 - overlap)
    return passages


def _word_spans(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        width = _WIDE_RUN if match.group().isascii() else 2
        if end - start > _WIDE_RUN:
            spans += [(at, min(at + width, end)) for at in range(start, end, width)]
        else:
            spans.append((start, end))
    return spans


def _end_of_passage(text: str, spans: Sequence[tuple[int, int]], first: int, max_words: int) -> int:
    """The word that ends a passage from `first`: the last of a sentence in its last third, else what fits."""
    limit = min(first + max_words, len(spans)) - 1
    if limit == len(spans) - 1:
        return limit
    earliest = first + (2 * max_words) // 3
    for at in range(limit, max(earliest, first), -1):
        following = spans[at + 1][0] if at + 1 < len(spans) else len(text)
        if _BREAK.search(text[spans[at][0] : following].rstrip(" ")):
            return at
    return limit


def best_passage(text: str, terms: Sequence[str], max_words: int = 60, overlap: int = 20) -> Passage:
    """The passage of `text` that has most of `terms`, the first of equals; all of a short text.

    Args:
        text: Any text.
        terms: The query's words, from `query.analyse`; matched by their first five letters, a light stemming.
        max_words: Words of a passage; > 0.
        overlap: Words that passages share.
    """
    passages = split_passages(text, max_words, overlap) or [Passage(0, len(text))]
    wanted = {term[:5] for term in terms}
    return max(passages, key=lambda p: (len(wanted & {w[:5] for w in words(text[p.start : p.end])}), -p.start))
