"""Stacked bars: parts of a whole, as places and widths in percent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SCORE = "lexical dense neighbour answer session time cue recency substance statement importance speaker"
_SECTIONS = "recalled recent summary working"
_COLOURS = {name: number for names in (_SCORE, _SECTIONS) for number, name in enumerate(names.split())}
"""What has the same name has the same colour on all bars: the classes part-0 to part-11 of style.css."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar.

    Attributes:
        name: What it is.
        value: How much.
        start: Where it begins, in percent of the whole.
        width: In percent of the whole.
        colour: Number of its colour.
    """

    name: str
    value: float
    start: float
    width: float
    colour: int


def bars(parts: Mapping[str, float], whole: float) -> list[Part]:
    """The parts above zero, in their order; they fill at most the whole."""
    placed: list[Part] = []
    start = 0.0
    for name, value in parts.items():
        width = min(100 * value / whole, 100 - start) if whole > 0 else 0.0
        if width > 0:
            placed.append(Part(name, value, round(start, 2), round(width, 2), _COLOURS.get(name, 7)))
            start += width
    return placed
