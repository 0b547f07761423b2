"""The values that packing takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from pydantic import Field

from memory_mgr.policy.rendering import Line
from memory_mgr.policy.settings import Settings

Count: TypeAlias = Callable[[str], int]
"""Counts the tokens of a text."""


class PackingConfig(Settings):
    """How a context's budget is spent; recalled entries get what the other sections leave."""

    working_share: float = Field(default=0.15, ge=0, le=1, description="Slots and notes of the task.")
    summary_share: float = Field(default=0.15, ge=0, le=1, description="Summaries of what has left the window.")
    recent_share: float = Field(default=0.2, ge=0, le=1, description="The latest turns.")
    recalled_candidates: int = Field(default=40, ge=1, le=1000, description="Recalled entries that are tried at most.")
    rank_power: float = Field(
        default=1.5, ge=0, le=10, description="Worth falls with the place in the ranking to this power; 0 = not at all."
    )
    importance_power: float = Field(
        default=0.3,
        ge=0,
        le=2,
        description="Worth rises with the odds of the importance to this power; 0 = not at all.",
    )
    cost_power: float = Field(
        default=0.6,
        ge=0,
        le=2,
        description="0 = best ranked first, whatever its length; 1 = worth per token. Between them because "
        "longer entries answer more often.",
    )
    neighbour_bonus: float = Field(
        default=0.3, ge=0, le=10, description="Added share of worth of what was said right beside something chosen."
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that can be shown.

    Attributes:
        id: Of its entry.
        line: As it is shown.
        position: Its place in time, smaller is earlier.
        importance: In [0, 1].
        source: The stream it came from; pieces of one source with successive positions are neighbours.
    """

    id: str
    line: Line
    position: tuple[datetime, int]
    importance: float = 0.5
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the context.

    Attributes:
        name: Names it in reports.
        heading: Shown above it when it holds anything; "" = none.
        pieces: Most worthy first.
        share: Of the budget that it may fill before others borrow; in [0, 1].
        contiguous: Taken in the order given, up to the first that does not fit (recent turns have no gaps).
    """

    name: str
    heading: str
    pieces: Sequence[Piece]
    share: float
    contiguous: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """The result.

    Attributes:
        text: The block; "" if nothing fits.
        tokens: Exactly those of `text`.
        sections: Tokens by section, headings included, by the lines' own counts.
        shown: Ids in the order shown.
        reasons: Why each piece is in or out, by id.
    """

    text: str
    tokens: int
    sections: dict[str, int] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
