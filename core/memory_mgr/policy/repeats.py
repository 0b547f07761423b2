"""Whether a context says something already."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from memory_mgr.policy.lexicon import load_sections

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_LEAST_WORDS = 4
"""Fewer words are part of many texts without being said by them."""

_BETWEEN = "\0"
"""Parts the texts, so that words of two are not taken for those of one."""


class Said:
    """The texts that were taken, told apart by their words.

    A text counts as said if a text that was taken has the same words in the same order, fillers aside, or contains
    them all in a row ("I moved to Berlin" in "Ann: Oh, I moved to Berlin in May"). Looser measures of likeness take
    a correction for a repetition of what it corrects.
    """

    def __init__(self) -> None:
        self._whole: set[str] = set()
        self._texts = ""

    def add(self, text: str) -> None:
        """Remember a text that was taken."""
        words = _words(text)
        self._whole.add(words)
        self._texts += f"{_BETWEEN}{words}"

    def covers(self, text: str) -> bool:
        """Whether `text` was said."""
        words = _words(text)
        if words in self._whole:
            return True
        return words.count(" ") > _LEAST_WORDS and words in self._texts


@lru_cache(maxsize=4096)
def _words(text: str) -> str:
    """The words that tell, in order, with a space around each; texts without words as they are."""
    fillers = _fillers()
    found = [word for word in _WORD.findall(text.casefold()) if word not in fillers]
    return f" {' '.join(found)} " if found else text


@cache
def _fillers() -> frozenset[str]:
    return frozenset(load_sections("summary_words")["filler"]) | {"a", "an", "the"}
