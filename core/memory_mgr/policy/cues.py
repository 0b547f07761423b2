"""What a text shows about itself: who speaks, whether it asks, tells a time or an amount."""

from __future__ import annotations

import math
import re

from memory_mgr.policy.lexicon import load_pattern

_SPEAKER = re.compile(r"^([^\W\d_][\w.'’ -]{0,39}): ")
_QUESTION_END = ("?", "？", "؟")
_DIGIT = re.compile(r"\d")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_FULL_SUBSTANCE_WORDS = 50
"""From here on more words do not make a message more likely to answer something."""


def speaker_of(content: str) -> str | None:
    """The speaker that `content` itself names in front ("Ada: hello"), if any."""
    match = _SPEAKER.match(content)
    return match.group(1) if match else None


def is_question(content: str) -> bool:
    """Whether `content` ends by asking."""
    return content.rstrip().endswith(_QUESTION_END)


def tells_time(content: str) -> bool:
    """Whether `content` says when something happened."""
    return bool(_YEAR.search(content) or load_pattern("recall_words", "time").search(content))


def tells_number(content: str) -> bool:
    """Whether `content` says how many or how much."""
    return bool(_DIGIT.search(content) or load_pattern("recall_words", "number").search(content))


def substance(content: str) -> float:
    """How much `content` says, in [0, 1]: the logarithm of its words, full at 50.

    Scripts without spaces are counted by characters, two a word.
    """
    count = max(
        len(content.split()), sum(1 for c in content if c > "\u0e00") / 2 if not content.isascii() else 0
    )
    return min(1.0, math.log1p(count) / math.log1p(_FULL_SUBSTANCE_WORDS))
