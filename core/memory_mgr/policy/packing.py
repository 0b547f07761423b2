"""What goes into a prompt when not everything fits.

Every section has its pieces in order of worth and a share of the budget. Sections are filled to their shares first;
what they leave is lent to the others in order of `lends_first`. A piece that does not fit is skipped, not cut, and
smaller ones after it may still go in.

Pieces are chosen by worth per token, the greedy rule for knapsacks (Dantzig 1957). The worth of a piece is the
chance that it is what was asked for: a power of its place in the ranking (on the LoCoMo development half the share
of evidence falls with place ** -1.4 for a plain ranking, ** -1.65 for a better one) times a power of the odds of its
importance. Both hold in each of the five conversations, and constants near the defaults change little.

Inside a section pieces are shown in order of time, so that a later statement follows what it corrects, and the
sections in the order given: models use best what stands first and last (Liu et al. 2023, "Lost in the Middle"), so
the caller puts the state of the task first and the latest turns last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memory_mgr.policy.packing_section import Filling
from memory_mgr.policy.packing_types import Count, Packed, PackingConfig, Piece, Section
from memory_mgr.policy.rendering import CLOSING, CUT, OPENING, Line, rendered
from memory_mgr.policy.repeats import Said

__all__ = ["Packed", "PackingConfig", "Piece", "Section", "pack"]


def pack(
    sections: Sequence[Section],
    budget: int,
    count: Count,
    lends_first: Sequence[str],
    config: PackingConfig | None = None,
) -> Packed:
    """The best block of at most `budget` tokens.

    Args:
        sections: In the order shown; ids are unique.
        budget: Tokens at most; >= 0. Holds exactly for the text returned.
        count: Counts tokens.
        lends_first: Names of sections in the order in which they may use what others left.
        config: How worth is weighed; default settings if None.
    """
    room = max(0, budget - count(OPENING + CLOSING))
    said, reasons = Said(), dict[str, str]()
    fillings = [
        Filling(section, config or PackingConfig(), count, said, reasons)
        for section in _prepared(sections, room, count, reasons)
    ]
    left = room
    for filling in fillings:
        left -= filling.fill(min(left, int(filling.section.share * room)))
    for name in lends_first:
        for filling in fillings:
            if filling.section.name == name:
                left -= filling.fill(left)
    for filling in fillings:
        filling.give_up()
    return _fitted(fillings, budget, count, lends_first, reasons)


def _prepared(sections: Sequence[Section], room: int, count: Count, reasons: dict[str, str]) -> list[Section]:
    """Sections that hold anything: a lone one needs no heading, and a first piece that cannot fit is cut."""
    filled = [section for section in sections if section.pieces]
    alone = len(filled) == 1
    prepared = []
    for section in filled:
        heading = "" if alone else section.heading
        over = count(f"{heading}\n") if heading else 0
        first = section.pieces[0]
        whole = alone and len(section.pieces) == 1
        if count(rendered([first.line])) + over > room:
            cut = _cut(first, (room if whole else room // 2) - over, count)
            if cut is not None:
                first = cut
        prepared.append(replace(section, heading=heading, pieces=[first, *section.pieces[1:]]))
    return prepared


def _cut(piece: Piece, tokens: int, count: Count) -> Piece | None:
    """The beginning of a piece, marked as cut, of at most `tokens` tokens with its date; None if there is no room."""

    def shortened(length: int) -> Line:
        return Line(piece.line.text[:length].rstrip() + CUT, piece.line.timestamp)

    low, high = 0, len(piece.line.text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(rendered([shortened(middle)])) <= tokens else (low, middle - 1)
    return replace(piece, line=shortened(low)) if low else None


def _fitted(
    fillings: Sequence[Filling],
    budget: int,
    count: Count,
    lends_first: Sequence[str],
    reasons: dict[str, str],
) -> Packed:
    """The text, counted exactly; what was chosen last goes while it is over the budget.

    The counts of lines add up to that of the text but for tokens that reach over a line's end.
    """
    rank = {name: place for place, name in enumerate(lends_first)}
    while chosen := [filling for filling in fillings if filling.chosen]:
        text = OPENING + "".join(filling.text() for filling in chosen) + CLOSING
        tokens = count(text)
        if tokens <= budget:
            shown = tuple(piece.id for filling in chosen for piece in filling.in_time())
            return Packed(text, tokens, {f.section.name: f.spent for f in chosen}, shown, reasons)
        max(chosen, key=lambda filling: rank.get(filling.section.name, len(rank))).drop_last()
    return Packed("", 0, reasons=reasons)
