"""What of a text only repeats what was recalled for it."""

from __future__ import annotations

import re

from memory_mgr.policy.rendering import without_blocks
from memory_mgr.policy.repeats import Said

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_LEAST_WORDS = 5
"""Fewer words are said again by chance."""


def without_echoes(text: str, said: Said) -> str:
    """`text` without blocks of recalled memory and without sentences that were recalled word for word; may be empty."""
    plain = without_blocks(text)
    kept = [part for part in _SENTENCE.split(plain) if len(part.split()) < _LEAST_WORDS or not said.covers(part)]
    return plain if len(kept) == len(_SENTENCE.split(plain)) else "\n".join(kept).strip()
