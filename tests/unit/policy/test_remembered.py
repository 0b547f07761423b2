"""Answers about texts are remembered within bounds: a long-lived process does not fill up with what it was told."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from memory_mgr.policy.claims import claims
from memory_mgr.policy.importance_features import read
from memory_mgr.policy.remembered import remembered
from memory_mgr.policy.repeats import Said
from memory_mgr.stores.stems import stem


def test_the_last_answers_are_remembered_but_not_those_about_long_texts() -> None:
    """Each kind of question with what else it is asked by."""
    asked: list[tuple[str, int]] = []

    @remembered(2, longest=5)
    def length(text: str, add: int = 0) -> int:
        asked.append((text, add))
        return len(text) + add

    assert [length("ab"), length("ab"), length("ab", add=1), length("ab", add=1)] == [2, 2, 3, 3]
    assert asked == [("ab", 0), ("ab", 1)]
    length("cd")
    length("ab")
    assert asked[2:] == [("cd", 0), ("ab", 0)]
    assert [length("longer"), length("longer")] == [6, 6]
    assert asked[4:] == [("longer", 0), ("longer", 0)]


@pytest.mark.parametrize("ask", [claims, read, lambda text: Said().covers(text), lambda text: stem(text.split()[-1])])
def test_long_texts_and_words_are_not_kept(ask: Callable[[str], object]) -> None:
    """A megabyte of them leaves next to nothing."""

    def told(start: int) -> None:
        for n in range(start, start + 50):
            ask(f"I moved to Oslo on day {n}. " + "So it was. " * 900 + "a" * 10_000 + str(n))

    told(0)
    tracemalloc.start()
    try:
        told(100)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
