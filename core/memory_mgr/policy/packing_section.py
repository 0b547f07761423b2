"""One section of a context while it is filled."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

from memory_mgr.policy.packing_types import Count, PackingConfig, Piece, Section
from memory_mgr.policy.rendering import day_heading, rendered, shown_line
from memory_mgr.policy.repeats import Said

Key = TypeVar("Key")
_EDGE = 0.01
"""Importance is kept this far from 0 and 1, where odds have no bounds."""


class Filling:
    """Takes pieces of one section while they fit.

    Args:
        section: Its pieces.
        config: How worth is weighed.
        count: Counts tokens.
        said: What the context says already, shared by all sections.
        reasons: Why pieces are in or out, by id; written here.
    """

    def __init__(
        self, section: Section, config: PackingConfig, count: Count, said: Said, reasons: dict[str, str]
    ) -> None:
        self.section = section
        self.chosen: list[Piece] = []
        self.spent = 0
        self._config = config
        self._count = count
        self._said = said
        self._reasons = reasons
        self._waiting = {piece.id: piece for piece in section.pieces}
        self._tokens = {piece.id: count(shown_line(piece.line)) for piece in section.pieces}
        self._worth = {piece.id: self._worth_at(place, piece) for place, piece in enumerate(section.pieces, 1)}
        self._day = {p.id: None if p.line.timestamp is None else p.line.timestamp.date() for p in section.pieces}
        self._of_day = _grouped(section.pieces, lambda piece: self._day[piece.id])
        self._neighbours = _neighbours(section.pieces)
        self._days: set[date | None] = {None}
        self._years: set[int] = set()
        self._heading_tokens: dict[tuple[date, bool], int] = {}

    def fill(self, allowance: int) -> int:
        """Take pieces that fit into `allowance` more tokens; the tokens taken."""
        if allowance <= 0:
            return 0
        before, limit = self.spent, self.spent + allowance
        if self.section.contiguous:
            self._fill_in_order(limit)
        else:
            self._fill_by_worth(limit)
        return self.spent - before

    def _fill_in_order(self, limit: int) -> None:
        for piece in list(self._waiting.values()):
            if self._repeated(piece):
                continue
            cost = self._cost(piece)
            if self.spent + cost > limit:
                return
            self._take(piece, cost)

    def _fill_by_worth(self, limit: int) -> None:
        """Best worth per token first; a piece is looked at again when its neighbour or day made it better."""
        heap = [(-self._density(piece), place, piece.id) for place, piece in enumerate(self._waiting.values())]
        heapq.heapify(heap)
        while heap:
            _, place, piece_id = heapq.heappop(heap)
            piece = self._waiting.get(piece_id)
            if piece is None or self.spent + (cost := self._cost(piece)) > limit or self._repeated(piece):
                continue
            opens_day = self._day[piece.id] not in self._days
            self._take(piece, cost)
            for other in self._made_better(piece, opens_day=opens_day):
                heapq.heappush(heap, (-self._density(other), place, other.id))

    def _take(self, piece: Piece, cost: int) -> None:
        self.spent += cost
        self.chosen.append(piece)
        if (day := self._day[piece.id]) is not None:
            self._days.add(day)
            self._years.add(day.year)
        del self._waiting[piece.id]
        self._said.add(piece.line.text)
        self._reasons[piece.id] = f"{self.section.name}: in, {cost} tokens"

    def _repeated(self, piece: Piece) -> bool:
        if not self._said.covers(piece.line.text):
            return False
        del self._waiting[piece.id]
        self._reasons.setdefault(piece.id, f"{self.section.name}: said already")
        return True

    # --- worth and cost --------------------------------------------------------------------------------

    def _worth_at(self, place: int, piece: Piece) -> float:
        importance = min(max(piece.importance, _EDGE), 1 - _EDGE)
        odds = importance / (1 - importance)
        return float(place**-self._config.rank_power * odds**self._config.importance_power)

    def _density(self, piece: Piece) -> float:
        worth = self._worth[piece.id]
        if self._beside_chosen(piece):
            worth *= 1 + self._config.neighbour_bonus
        return float(worth / max(1, self._cost(piece, heading=False)) ** self._config.cost_power)

    def _cost(self, piece: Piece, *, heading: bool = True) -> int:
        """Tokens that the context grows by: the line, and the headings that it is the first to need."""
        cost = self._tokens[piece.id]
        if heading and self.section.heading and not self.chosen:
            cost += self._count(f"{self.section.heading}\n")
        if (day := self._day[piece.id]) is not None and day not in self._days:
            cost += self._heading_cost(day)
        return cost

    def _heading_cost(self, day: date) -> int:
        heading = day, day.year not in self._years
        if heading not in self._heading_tokens:
            self._heading_tokens[heading] = self._count(day_heading(day, year=heading[1]))
        return self._heading_tokens[heading]

    def _beside_chosen(self, piece: Piece) -> bool:
        return any(near not in self._waiting for near in self._neighbours[piece.id])

    def _made_better(self, taken: Piece, *, opens_day: bool) -> list[Piece]:
        """What costs less or is worth more now that `taken` is in."""
        same_day = self._of_day[self._day[taken.id]] if opens_day else ()
        return [self._waiting[i] for i in dict.fromkeys((*self._neighbours[taken.id], *same_day)) if i in self._waiting]

    # --- the result ------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """Say of what was left out that it did not fit."""
        for piece in self._waiting.values():
            self._reasons.setdefault(piece.id, f"{self.section.name}: no room for {self._cost(piece)} tokens")

    def drop_last(self) -> None:
        """Take the piece that was chosen last out again."""
        piece = self.chosen.pop()
        self.spent = self._count(self.text()) if self.chosen else 0
        self._reasons[piece.id] = f"{self.section.name}: no room"

    def in_time(self) -> list[Piece]:
        """The chosen pieces in the order shown."""
        return sorted(self.chosen, key=lambda piece: piece.position)

    def text(self) -> str:
        """The section as shown; "" if nothing was chosen."""
        if not self.chosen:
            return ""
        heading = f"{self.section.heading}\n" if self.section.heading else ""
        return heading + rendered(piece.line for piece in self.in_time())


def _grouped(pieces: Sequence[Piece], key: Callable[[Piece], Key]) -> dict[Key, list[str]]:
    """The ids of pieces by what they share, in order."""
    groups: dict[Key, list[str]] = defaultdict(list)
    for piece in pieces:
        groups[key(piece)].append(piece.id)
    return groups


def _neighbours(pieces: Sequence[Piece]) -> dict[str, list[str]]:
    """The pieces said right before and after each in its source."""
    at: dict[tuple[str | None, int], str]
    at = {(piece.source, piece.position[1]): piece.id for piece in pieces if piece.source is not None}
    beside = {p.id: [at.get((p.source, p.position[1] + step)) for step in (-1, 1)] for p in pieces}
    return {piece_id: [near for near in ids if near is not None] for piece_id, ids in beside.items()}
