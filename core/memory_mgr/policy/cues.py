"""What a text shows about itself: who speaks, whether it asks, tells a time or an amount."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.lexicon import load_pattern
from memory_mgr.policy.query import Query

_SPEAKER = re.compile(r"^([^\W\d_][\w.'’ -]{0,39}): ")
_QUESTION_END = ("?", "？", "؟")
_TAIL = 200
"""Characters looked at for how a text ends."""
_HEAD = 2000
"""Characters looked at for what a text mentions; a message rarely has more."""
_FULL_SUBSTANCE_WORDS = 50
"""From here on more words do not make a message more likely to answer something."""


def speaker_of(content: str) -> str | None:
    """The speaker that `content` itself names in front ("Ada: hello"), if any."""
    match = _SPEAKER.match(content)
    return match.group(1) if match else None


def is_question(content: str) -> bool:
    """Whether `content` ends by asking."""
    return content[-_TAIL:].rstrip().endswith(_QUESTION_END)


def tells_time(content: str) -> bool:
    """Whether `content` says when something happened."""
    return bool(load_pattern("recall_words", "time").search(content[:_HEAD]))


def tells_number(content: str) -> bool:
    """Whether `content` says how many or how much."""
    return bool(load_pattern("recall_words", "number").search(content[:_HEAD]))


def told(query: Query, contents: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each text tells the kind of thing the query asks for: a time, an amount."""
    kinds = [tells for asked, tells in ((query.asks_when, tells_time), (query.asks_number, tells_number)) if asked]
    return np.array([any(tells(content) for tells in kinds) for content in contents], bool)


def substance(content: str) -> float:
    """How much a text says, in [0, 1]: the logarithm of its words, full at 50.

    Scripts without spaces are counted by characters, two a word.
    """
    return min(1.0, math.log1p(_words(content[:_HEAD])) / math.log1p(_FULL_SUBSTANCE_WORDS))


def _words(text: str) -> float:
    count = len(text.split())
    return count if text.isascii() else max(count, sum(c > "\u0e00" for c in text) / 2)
