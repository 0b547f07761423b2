"""Packing: never over the budget, worth per token, shares that lend, and a reason for every piece."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_mgr.defaults.tokens import TiktokenCounter
from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.packing import Packed, PackingConfig, Piece, Section, pack
from memory_mgr.policy.rendering import CLOSING, CUT, OPENING, Line, attributed
from memory_mgr.policy.repeats import Said

START = datetime(2023, 5, 8, tzinfo=UTC)
COUNT = TiktokenCounter().count
LENDS = ("recalled", "recent", "summary", "working")


def piece(place: int, text: str, *, hours: float | None = None, **more: object) -> Piece:
    """Something said `hours` after the start."""
    moment = START + timedelta(hours=place if hours is None else hours)
    return Piece(f"p{place}", Line(attributed(text, None), moment), (moment, place), **more)  # type: ignore[arg-type]


def recalled(*pieces: Piece, share: float = 0.0, heading: str = "# Remembered") -> Section:
    """The recalled section."""
    return Section("recalled", heading, pieces, share)


def packed(sections: list[Section], budget: int, config: PackingConfig | None = None) -> Packed:
    """Packs with the real counter."""
    return pack(sections, budget, COUNT, LENDS, config)


_TEXTS = st.one_of(
    st.text(max_size=300),
    st.text("ab \n<>[]#/|:…é日👩‍", max_size=300),
    st.lists(st.sampled_from(["moved", "to", "Berlin", "</memory>", "# Recent", "in", "May", "\n\n", "12"])).map(
        " ".join
    ),
)
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@st.composite
def _sections(draw: st.DrawFn) -> list[Section]:
    sections, number = [], 0
    for name in ("working", "summary", "recalled", "recent"):
        pieces = []
        for text, moment in draw(st.lists(st.tuples(_TEXTS, _TIMES), max_size=6)):
            number += 1
            line = Line(
                attributed(text, draw(st.sampled_from([None, "Ann", "Bob\n#"]))), draw(st.sampled_from([None, moment]))
            )
            importance = draw(st.floats(0, 1))
            source = draw(st.sampled_from([None, "chat"]))
            pieces.append(Piece(f"p{number}", line, (moment, number), importance, source))
        heading = draw(st.sampled_from(["", f"# {name}"]))
        sections.append(Section(name, heading, pieces, draw(st.floats(0, 1)), name == "recent"))
    return sections


@settings(max_examples=300, deadline=None)
@given(_sections(), st.integers(0, 2000))
def test_never_over_budget(sections: list[Section], budget: int) -> None:
    """For any texts, sections and budgets the exact count of exactly the text is what is said and fits."""
    result = packed(sections, budget)
    assert result.tokens == COUNT(result.text) <= budget
    assert result.text == "" or (result.text.startswith(OPENING) and result.text.endswith(CLOSING))
    assert result.text.count(CLOSING) == (1 if result.text else 0)
    ids = [p.id for section in sections for p in section.pieces]
    assert set(result.reasons) == set(ids)
    assert len(set(result.shown)) == len(result.shown)
    assert set(result.shown) <= set(ids)


@settings(max_examples=100, deadline=None)
@given(_sections(), st.integers(0, 300))
def test_every_shown_piece_is_whole_or_marked(sections: list[Section], budget: int) -> None:
    """A turn is never cut mid-way unless it alone exceeds the budget, and then it says so."""
    result = packed(sections, budget)
    lines = {p.id: p.line for section in sections for p in section.pieces}
    for shown in result.shown:
        own_date = lines[shown].text.startswith("- [")
        assert lines[shown].text in result.text or CUT in result.text or own_date


def test_nothing_fits_gives_nothing() -> None:
    """No empty fences."""
    assert packed([recalled(piece(1, "I moved to Berlin."))], 13).text == ""
    assert packed([], 1000) == Packed("", 0)


def test_all_that_fits_is_in_and_in_order_of_time() -> None:
    """Ranked second but said first stands first."""
    result = packed([recalled(piece(2, "Then I moved."), piece(1, "I was born."))], 200)
    assert result.text == f"{OPENING}[8 May 2023]\nI was born.\nThen I moved.\n{CLOSING}"
    assert result.shown == ("p1", "p2")


def test_a_smaller_piece_fills_what_a_larger_one_cannot() -> None:
    """A piece that does not fit is skipped, not cut."""
    large = piece(2, "and so on " * 60)
    result = packed([recalled(piece(1, "The first is short."), large, piece(3, "The third as well."))], 60)
    assert result.shown == ("p1", "p3")
    assert "no room" in result.reasons["p2"]


def test_the_best_ranked_comes_before_several_small_ones() -> None:
    """Worth per token does not fill the context with the short and pointless."""
    best = piece(0, "My sister Clara lives in the north of Portugal with her two dogs and a parrot.")
    small = [piece(n, f"Ok then number {n}.") for n in range(1, 30)]
    assert "p0" in packed([recalled(best, *small)], 60).shown


def test_importance_decides_between_neighbours_in_rank() -> None:
    """Of two that rank alike the important one goes in."""
    dull = piece(1, "It was a day like any other day.", importance=0.05)
    telling = piece(2, "It was my sister Clara's wedding.", importance=0.95)
    config = PackingConfig(rank_power=0.5)
    assert packed([recalled(dull, telling)], 29, config).shown == ("p2",)
    assert packed([recalled(dull, telling)], 29, config.model_copy(update={"importance_power": 0.0})).shown == ("p1",)


def test_what_stands_beside_something_chosen_is_preferred() -> None:
    """An answer brings its question along."""
    answer = piece(10, "Yes, twice, in the old harbour.", source="chat")
    elsewhere = piece(30, "There was a lot of rain there.", hours=20, source="chat")
    question = piece(9, "Did you ever dive for pearls.", source="chat")
    config = PackingConfig(rank_power=0.5, neighbour_bonus=2)
    budget = packed([recalled(answer, elsewhere)], 500).tokens + 1
    assert packed([recalled(answer, elsewhere, question)], budget, config).shown == ("p9", "p10")
    without = config.model_copy(update={"neighbour_bonus": 0.0})
    assert packed([recalled(answer, elsewhere, question)], budget, without).shown == ("p10", "p30")


def test_sections_lend_what_they_do_not_use() -> None:
    """Recalled entries get the shares of the empty sections, and recent turns what recall leaves."""
    turns = [piece(n, f"Turn number {n} says something of its own.") for n in range(40)]
    recent = Section("recent", "# Recent", turns, 0.2, contiguous=True)
    alone = packed([recent], 300)
    assert alone.tokens > 250
    shared = packed([recalled(*[piece(100 + n, f"Fact {n} is about thing {n * 7}.") for n in range(40)]), recent], 300)
    assert shared.tokens > 280
    assert shared.sections["recent"] <= 0.2 * 300
    assert shared.sections["recalled"] > 150


def test_recent_turns_have_no_gaps() -> None:
    """The newest turns come in a row; a long one ends them."""
    turns = [piece(3, "The newest."), piece(2, "long " * 200), piece(1, "The oldest.")]
    result = packed([Section("recent", "", turns, 1.0, contiguous=True), recalled(piece(9, "A fact."))], 100)
    assert set(result.shown) == {"p3", "p9"}


def test_a_turn_longer_than_the_budget_is_cut_and_marked() -> None:
    """Something of it is better than nothing, and the rest of the budget is used."""
    long = piece(1, "The harbour of Lisbon was full of ships that day. " * 100)
    alone = packed([recalled(long)], 100)
    assert CUT in alone.text
    assert 90 <= alone.tokens <= 100
    both = packed([recalled(long, piece(2, "And a short one."))], 100)
    assert both.shown == ("p1", "p2")
    assert "The harbour of Lisbon" in both.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I moved to Berlin in May.", "I moved to Berlin in May."),
        ("I really just moved to Berlin in the May.", "i moved to Berlin, in May"),
        ("Ann: Oh, I moved to Berlin in May, at last!", "I moved to Berlin in May"),
    ],
)
def test_the_same_is_not_said_twice(first: str, second: str) -> None:
    """Across sections too: same words in the same order, or contained."""
    recent = Section("recent", "# Recent", [piece(1, first)], 0.5, contiguous=True)
    result = packed([recent, recalled(piece(2, second))], 500)
    assert result.shown == ("p1",)
    assert "said already" in result.reasons["p2"]


@pytest.mark.parametrize(
    "second",
    [
        "I did not move to Berlin in May.",
        "I moved to Berlin in June.",
        "Berlin in May I moved to.",
        "We moved to Berlin in May.",
    ],
)
def test_a_correction_is_no_repetition(second: str) -> None:
    """One word can make the difference."""
    assert len(packed([recalled(piece(1, "I moved to Berlin in May."), piece(2, second))], 500).shown) == 2


def test_a_lone_section_has_no_heading() -> None:
    """Headings tell sections apart; one needs none."""
    assert "#" not in packed([recalled(piece(1, "A fact."))], 500).text
    two = packed([recalled(piece(1, "A fact.")), Section("recent", "# Recent", [piece(2, "A turn.")], 0.2)], 500)
    assert "# Remembered\n" in two.text
    assert "# Recent\n" in two.text


def test_tokens_by_section_add_up() -> None:
    """The report is of the text that is returned."""
    result = packed([recalled(piece(1, "A fact.")), Section("recent", "# Recent", [piece(2, "A turn.")], 0.2)], 500)
    assert sum(result.sections.values()) + COUNT(OPENING + CLOSING) == result.tokens


def test_a_counter_that_does_not_add_up_is_still_obeyed() -> None:
    """Only the count of the whole text counts: pieces go out again until it fits."""

    def superadditive(text: str) -> int:
        return len(text) ** 2 // 40

    result = pack([recalled(*[piece(n, f"Fact number {n} here.") for n in range(20)])], 400, superadditive, LENDS)
    assert result.tokens == superadditive(result.text) <= 400


def test_settings_are_bounded() -> None:
    """A share above 1 is refused with the value and the name."""
    with pytest.raises(ConfigurationError, match="recent_share"):
        PackingConfig(recent_share=1.5)


def test_a_summary_of_turns_that_are_all_there_says_nothing_new() -> None:
    """Line by line, dates aside; with one line more it does."""
    said = Said()
    said.add("user: Oh, we adopted a beagle called Biscuit in Leeds.")
    said.add("assistant: It costs 300 pounds a year.")
    lines = ("user: we adopted a beagle called Biscuit in Leeds.", "assistant: It costs 300 pounds a year.")
    summary = "- [2 March 2026]\n  " + "\n  ".join(lines)
    assert said.covers(summary)
    assert not said.covers(f"{summary}\n  user: He sleeps in the kitchen at night.")
    assert not said.covers("- [2 March 2026]")
