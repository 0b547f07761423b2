"""Long texts as passages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.chunking import Passage, best_passage, split_passages

TEXTS = st.text(alphabet=st.sampled_from("ab .?\n北京京"), max_size=400)


@given(TEXTS, st.integers(2, 30), st.data())
def test_passages_cover_the_text(text: str, max_words: int, data: st.DataObject) -> None:
    """Every word lies in a passage, passages move forward, and none is longer than asked."""
    overlap = data.draw(st.integers(0, max_words - 1))
    passages = split_passages(text, max_words, overlap)
    covered = {i for p in passages for i in range(p.start, p.end)}
    assert all(i in covered for i, c in enumerate(text) if not c.isspace())
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(passages))
    assert all(len(text[p.start : p.end].split()) <= max_words for p in passages)


def test_short_text_is_one_passage() -> None:
    """A text that fits is not cut; an empty one has no passages."""
    assert split_passages("A short one.") == [Passage(0, 12)]
    assert split_passages("  ") == []


def test_passages_end_with_sentences_and_overlap() -> None:
    """A passage ends with a sentence where one ends in its last third, and shares words with the next."""
    text = " ".join(f"This is sentence number {i}." for i in range(100))
    passages = split_passages(text, 50, 10)
    assert all(text[p.start : p.end].endswith(".") for p in passages)
    assert all(b.start < a.end for a, b in pairwise(passages))


def test_text_without_spaces_is_cut() -> None:
    """Chinese, or encoded data, has no words to count and is cut by characters."""
    assert len(split_passages("北京大学" * 500, 180, 40)) > 3


def test_overlap_must_fit() -> None:
    """An overlap as long as the passage would never end."""
    with pytest.raises(ValueError, match="overlap"):
        split_passages("a b c", 2, 2)


def test_best_passage() -> None:
    """The passage with most of the query's words is marked, wherever it is."""
    text = "Filler words here. " * 60 + "The wifi password is tangerine. " + "More filler words. " * 60
    best = best_passage(text, ("wifi", "passwords"))
    assert "tangerine" in text[best.start : best.end]
    assert best_passage("", ("x",)) == Passage(0, 0)
