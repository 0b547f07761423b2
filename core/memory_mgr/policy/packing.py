"""What goes into a prompt when not everything fits.

Every section has its pieces in order of worth and a share of the budget. Sections are filled to their shares first;
what they leave is lent to the others in order of `lends_first`. A piece that does not fit is skipped, not cut, and
smaller ones after it may still go in. Inside a section pieces are shown in order of time, and the sections in the
order given: models use best what stands first and last (Liu et al. 2023, "Lost in the Middle"), so the caller puts
the state of the task first and the latest turns last.

Packing by rank kept the evidence of more questions than any score-per-token order at 500 tokens, and within .01 of
the best at 1,000 (LoCoMo development half).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from memory_mgr.policy.rendering import CLOSING, CUT, OPENING, Line, day, rendered

Count = Callable[[str], int]


class PackingConfig(BaseModel):
    """Shares of a context's budget; recalled entries get what the others leave."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    working_share: float = Field(0.15, ge=0, le=1, description="Slots and notes of the task.")
    summary_share: float = Field(0.15, ge=0, le=1, description="Summaries of what has left the window.")
    recent_share: float = Field(0.2, ge=0, le=1, description="The latest turns.")
    recalled_candidates: int = Field(80, ge=1, le=1000, description="Recalled entries that are tried at most.")


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that can be shown.

    Attributes:
        id: Of its entry.
        line: As it is shown.
        position: Its place in time, smaller is earlier.
    """

    id: str
    line: Line
    position: tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the context.

    Attributes:
        name: Names it in reports.
        heading: Shown above it when it holds anything; "" = none.
        pieces: Most worthy first.
        share: Of the budget that it may fill before others borrow; in [0, 1].
        contiguous: Stop at the first piece that does not fit (recent turns have no gaps).
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


class _Filling:
    """One section while it is filled."""

    def __init__(self, section: Section, count: Count) -> None:
        self.section = section
        self._count = count
        self.chosen: list[Piece] = []
        self.spent = 0
        self._days: set[str] = set()
        self._tried = 0
        self._skipped: list[Piece] = []

    def fill(self, allowance: int, seen: set[str], reasons: dict[str, str]) -> int:
        """Take pieces while they fit into `allowance` more tokens; the tokens taken."""
        before = self.spent
        limit = self.spent + allowance
        waiting = [*self._skipped, *self.section.pieces[self._tried :]]
        self._skipped, self._tried = [], len(self.section.pieces)
        for place, piece in enumerate(waiting):
            if _key(piece) in seen:
                reasons.setdefault(piece.id, f"{self.section.name}: said already")
            elif self.spent + (cost := self._cost(piece)) <= limit:
                self._take(piece, cost, reasons)
                seen.add(_key(piece))
            elif self.section.contiguous:
                self._skipped = waiting[place:]
                break
            else:
                self._skipped.append(piece)
        return self.spent - before

    def _cost(self, piece: Piece) -> int:
        heading = self.section.heading if not self.chosen else ""
        moment = piece.line.timestamp
        dated = f"[{day(moment)}]\n" if moment is not None and day(moment) not in self._days else ""
        return sum(self._count(text) for text in (f"{heading}\n" if heading else "", dated, f"{piece.line.text}\n") if text)

    def _take(self, piece: Piece, cost: int, reasons: dict[str, str]) -> None:
        self.spent += cost
        self.chosen.append(piece)
        if piece.line.timestamp is not None:
            self._days.add(day(piece.line.timestamp))
        reasons[piece.id] = f"{self.section.name}: in, {cost} tokens"

    def give_up(self, reasons: dict[str, str]) -> None:
        """Say of what was left out that it did not fit."""
        for piece in self._skipped:
            reasons.setdefault(piece.id, f"{self.section.name}: no room for {self._cost(piece)} tokens")

    def drop_last(self, reasons: dict[str, str]) -> None:
        """Take the least worthy piece out again."""
        piece = self.chosen.pop()
        reasons[piece.id] = f"{self.section.name}: no room"

    def in_time(self) -> list[Piece]:
        return sorted(self.chosen, key=lambda piece: piece.position)

    def text(self) -> str:
        if not self.chosen:
            return ""
        heading = f"{self.section.heading}\n" if self.section.heading else ""
        return heading + rendered(piece.line for piece in self.in_time())


def pack(sections: Sequence[Section], budget: int, count: Count, lends_first: Sequence[str]) -> Packed:
    """The best block of at most `budget` tokens.

    Args:
        sections: In the order shown.
        budget: Tokens at most; >= 0. Holds exactly for the text returned.
        count: Counts tokens.
        lends_first: Names of sections in the order in which they may use what others left.
    """
    room = budget - count(OPENING + CLOSING)
    fillings = [_Filling(section, count) for section in sections]
    seen: set[str] = set()
    reasons: dict[str, str] = {}
    left = max(room, 0)
    for filling in fillings:
        left -= filling.fill(min(left, int(filling.section.share * max(room, 0))), seen, reasons)
    for name in lends_first:
        for filling in fillings:
            if filling.section.name == name:
                left -= filling.fill(left, seen, reasons)
    for filling in fillings:
        filling.give_up(reasons)
    return _fitted(fillings, budget, count, [*lends_first], reasons)


def _fitted(
    fillings: list[_Filling], budget: int, count: Count, order: list[str], reasons: dict[str, str]
) -> Packed:
    """Assemble, count exactly, and drop the least worthy until the budget holds."""
    rank = {name: place for place, name in enumerate(order)}
    while any(filling.chosen for filling in fillings):
        text = OPENING + "".join(filling.text() for filling in fillings) + CLOSING
        tokens = count(text)
        if tokens <= budget:
            shown = tuple(piece.id for filling in fillings for piece in filling.in_time())
            spent = {f.section.name: f.spent for f in fillings if f.chosen}
            return Packed(text, tokens, spent, shown, reasons)
        last = max((f for f in fillings if f.chosen), key=lambda f: rank.get(f.section.name, len(rank)))
        last.drop_last(reasons)
    return _one_cut(fillings, budget, count, order, reasons)


def _one_cut(
    fillings: list[_Filling], budget: int, count: Count, order: list[str], reasons: dict[str, str]
) -> Packed:
    """No piece fits whole: the most worthy one, cut and marked, if even that fits."""
    by_name = {filling.section.name: filling.section for filling in fillings}
    first = next((by_name[n].pieces[0] for n in order if n in by_name and by_name[n].pieces), None)
    if first is None:
        return Packed("", 0, reasons=reasons)
    low, high = 0, len(first.line.text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(_cut_block(first, middle)) <= budget else (low, middle - 1)
    text = _cut_block(first, low)
    if low == 0 or count(text) > budget:
        return Packed("", 0, reasons=reasons)
    reasons[first.id] = f"in, cut to {low} of {len(first.line.text)} characters"
    return Packed(text, count(text), {"recalled": count(text)}, (first.id,), reasons)


def _cut_block(piece: Piece, length: int) -> str:
    return OPENING + rendered([Line(piece.line.text[:length] + CUT, piece.line.timestamp)]) + CLOSING


def _key(piece: Piece) -> str:
    """Two pieces of the same words are one."""
    return " ".join(re.findall(r"\w+", piece.line.text.lower())) or piece.line.text
