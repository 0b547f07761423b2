"""Whether a context says something already."""

from __future__ import annotations

import re
from functools import cache

from memory_mgr.policy.cues import speaker_of
from memory_mgr.policy.lexicon import load_sections
from memory_mgr.policy.remembered import remembered

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_DATE = re.compile(r"\[[^\[\]]{4,20}\]")
_LEAST_WORDS = 4
"""Fewer words are part of many texts without being said by them."""

_BETWEEN = "\0"
"""Parts the texts, so that words of two are not taken for those of one."""


class Said:
    """The texts that were taken, told apart by their words.

    A text counts as said if a text that was taken has the same words in the same order, fillers aside, or contains
    them all in a row ("I moved to Berlin" in "Ann: Oh, I moved to Berlin in May"). Looser measures of likeness take
    a correction for a repetition of what it corrects. A text of several lines, such as a summary, is said if each of
    them is.
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
        if self._said(text):
            return True
        lines = _lines(text) if len(text.splitlines()) > 1 else []
        return len(lines) > 1 and all(self._line_said(line) for line in lines)

    def _line_said(self, line: str) -> bool:
        """Whether whoever speaks in this line said it, be it with more before it."""
        speaker = speaker_of(line)
        if speaker is None:
            return self._said(line)
        who, what = _words(speaker), _words(line[len(speaker) + 2 :])
        if what.count(" ") <= _LEAST_WORDS:
            return self._said(line)
        return what in self._texts and any(
            taken.startswith(who) and what in taken for taken in self._texts.split(_BETWEEN)
        )

    def _said(self, text: str) -> bool:
        words = _words(text)
        if words in self._whole:
            return True
        return words.count(" ") > _LEAST_WORDS and words in self._texts


def _lines(text: str) -> list[str]:
    """The lines that tell something: not empty, no date."""
    lines = (line.strip(" -") for line in text.splitlines())
    return [line for line in lines if line and not _DATE.fullmatch(line)]


@remembered(4096)
def _words(text: str) -> str:
    """The words that tell, in order, with a space around each; texts without words as they are."""
    fillers = _fillers()
    found = [word for word in _WORD.findall(text.casefold()) if word not in fillers]
    return f" {' '.join(found)} " if found else text


@cache
def _fillers() -> frozenset[str]:
    return frozenset(load_sections("summary_words")["filler"]) | {"a", "an", "the"}
