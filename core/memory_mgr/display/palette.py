"""Colours that colour-blind readers tell apart (Okabe and Ito, 2008), on light and dark backgrounds alike."""

from __future__ import annotations

from memory_mgr.types import MemoryType

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#757575"
"""Contrast 4.6 to 1 on white and on black."""
CYCLE = (ORANGE, SKY, GREEN, BLUE, RED, PINK, YELLOW)

TIER_COLOURS = {
    MemoryType.SHORT_TERM.value: SKY,
    MemoryType.WORKING.value: ORANGE,
    MemoryType.LONG_TERM.value: GREEN,
    MemoryType.EPISODIC.value: PINK,
}
SECTION_COLOURS = {"working": ORANGE, "summary": PINK, "recalled": GREEN, "recent": SKY}

PART_COLOURS = {
    "lexical": ORANGE,
    "dense": SKY,
    "session": GREEN,
    "neighbour": BLUE,
    "answer": RED,
    "utterance": PINK,
    "time": YELLOW,
}
"""Parts of a score that say why an entry matches; the others, which any entry has, stay grey."""


def part_colour(name: str) -> str:
    """The colour of a part of a score."""
    return PART_COLOURS.get(name, GREY)
