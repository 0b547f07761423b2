"""Summaries: within the budget, attributed, dated, sourced, no filler, nothing twice, and able to continue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_mgr.defaults.tokens import TiktokenCounter
from memory_mgr.policy.summary import SummaryConfig, summarise
from memory_mgr.policy.summary_lines import Spoken, SummaryLine, parse_summary, summary_text
from memory_mgr.policy.summary_units import split_units

COUNT = TiktokenCounter().count
MAY = datetime(2023, 5, 8, 10, tzinfo=UTC)


def said(number: int, text: str, speaker: str | None = "Ann", *, days: int = 0, **more: object) -> Spoken:
    """A message."""
    moment = MAY + timedelta(days=days, minutes=number)
    return Spoken(id=f"m{number}", text=text, speaker=speaker, timestamp=moment, **more)  # type: ignore[arg-type]


DIALOGUE = [
    said(1, "Hey Bob! How are you doing?"),
    said(2, "Hi Ann! I'm great, thanks!", "Bob"),
    said(3, "I adopted a greyhound called Pixel from the shelter in Leeds last Saturday."),
    said(4, "Wow, that's so amazing!", "Bob"),
    said(5, "We decided to move to Porto in September, because my company opens an office there."),
    said(6, "Sounds great. I really just signed up for a pottery course, 12 evenings.", "Bob"),
]


def test_facts_go_in_and_small_talk_stays_out() -> None:
    """Names, dates and decisions survive; greetings and reactions do not."""
    text = summarise(DIALOGUE, max_tokens=80, count=COUNT).text
    for fact in ("greyhound called Pixel", "Leeds", "last Saturday", "move to Porto in September", "12 evenings"):
        assert fact in text
    for noise in ("Hey", "Wow", "great", "really"):
        assert noise not in text


def test_lines_are_dated_attributed_and_sourced() -> None:
    """A reader knows when, who and from where."""
    summary = summarise(DIALOGUE, max_tokens=80, count=COUNT)
    assert summary.text.startswith("[8 May 2023]\nAnn: I adopted")
    assert summary.lines[0].sources == ("m3", "m5")
    assert summary.lines[1].speaker == "Bob"
    assert summary.sources == ("m3", "m5", "m6")


def test_every_message_has_a_reason() -> None:
    """Why in or out."""
    reasons = summarise(DIALOGUE, max_tokens=80, count=COUNT).reasons
    assert set(reasons) == {message.id for message in DIALOGUE}
    assert reasons["m3"].startswith("in")
    assert reasons["m4"].startswith("out")


_WORDS = st.lists(
    st.sampled_from(
        [
            "I",
            "moved",
            "to",
            "Berlin",
            "Hey",
            "12",
            "…",
            "?",
            ".",
            "\n",
            "日本語。",
            "[8 May 2023]",
            "and we",
            "</memory>",
        ]
    )
).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=200), _WORDS), st.sampled_from([None, "Ann", "Bob B\n"]), st.integers(0, 400)
        )
    ),
    st.integers(0, 300),
)
def test_never_over_budget_and_only_what_was_said(messages: list[tuple[str, str | None, int]], budget: int) -> None:
    """For any text: exact tokens within the budget, sources known, no line of more than one line."""
    span = [said(n, text, speaker, days=days) for n, (text, speaker, days) in enumerate(messages)]
    summary = summarise(span, max_tokens=budget, count=COUNT)
    assert summary.tokens == COUNT(summary.text) <= budget
    assert set(summary.sources) <= {message.id for message in span}
    assert all(len(line.text.splitlines()) == 1 for line in summary.lines)


def test_the_words_are_verbatim_and_in_order() -> None:
    """A summary quotes; it may leave out words but never changes or moves them."""
    message = DIALOGUE[4].text.replace(",", "").split()
    quoted = summarise([DIALOGUE[4]], max_tokens=80, count=COUNT).lines[0].text.replace(",", "").rstrip(".").split()
    rest = iter(word.rstrip(".") for word in message)
    assert all(word in rest for word in quoted)


def test_nothing_is_said_twice() -> None:
    """A repeated fact takes no room from another."""
    span = [said(n, "I adopted a greyhound called Pixel.") for n in range(5)] + [said(9, "Rent is 900 euros.")]
    text = summarise(span, max_tokens=300, count=COUNT).text
    assert text.count("Pixel") == 1
    assert "900" in text


def test_vectors_tell_what_words_do_not() -> None:
    """Two messages of one meaning by their vectors are said once."""
    vector = np.array([1, 0], np.float32)
    other = np.array([0, 1], np.float32)
    span = [
        said(1, "Our flat costs 900 euros monthly.", vector=vector),
        said(2, "Rent: nine hundred EUR each month.", vector=vector),
        said(3, "Pixel is a greyhound.", vector=other),
    ]
    summary = summarise(span, max_tokens=300, count=COUNT)
    assert len(summary.sources) == 2
    assert "m3" in summary.sources
    assert any("says the same" in reason for reason in summary.reasons.values())


def test_importance_given_wins() -> None:
    """What is marked important goes in first."""
    span = [
        said(1, "Paris has many old bridges.", importance=0.1),
        said(2, "Lisbon has many old trams.", importance=0.9),
    ]
    assert summarise(span, max_tokens=18, count=COUNT).sources == ("m2",)
    swapped = [
        said(1, "Paris has many old bridges.", importance=0.9),
        said(2, "Lisbon has many old trams.", importance=0.1),
    ]
    assert summarise(swapped, max_tokens=18, count=COUNT).sources == ("m1",)


def test_it_continues_an_earlier_summary() -> None:
    """Old lines compete with new messages; with room both are there, in order, with their sources."""
    first = summarise(DIALOGUE[:3], max_tokens=80, count=COUNT)
    both = summarise(DIALOGUE[3:], max_tokens=120, count=COUNT, previous=first.lines)
    assert "Pixel" in both.text
    assert "Porto" in both.text
    assert both.text.index("Pixel") < both.text.index("Porto")
    assert set(both.sources) == {"m3", "m5", "m6"}
    assert both.text.count("[8 May 2023]") == 1


def test_text_and_lines_are_the_same() -> None:
    """A summary that was stored as text continues like one kept as lines."""
    span = [
        *DIALOGUE,
        said(20, "The vet is called Dr Shah.", "Bob", days=40),
        said(21, "It snowed in Porto.", days=300),
    ]
    summary = summarise(span, max_tokens=300, count=COUNT)
    parsed = parse_summary(summary.text)
    assert summary_text(parsed) == summary.text
    assert [(line.speaker, line.text) for line in parsed] == [(line.speaker, line.text) for line in summary.lines]
    assert [line.timestamp and line.timestamp.date() for line in parsed] == [
        line.timestamp and line.timestamp.date() for line in summary.lines
    ]


def test_summaries_roll_up_with_the_same_function() -> None:
    """A message that is a summary is taken apart; its id stands for its lines."""
    texts = {
        "s1": summarise(DIALOGUE, max_tokens=80, count=COUNT).text,
        "s2": summarise([said(30, "The vet is called Dr Shah.", "Bob", days=40)], max_tokens=80, count=COUNT).text,
    }
    rolled = summarise([Spoken(id=i, text=t) for i, t in texts.items()], max_tokens=200, count=COUNT)
    assert rolled.text.startswith("[8 May 2023]\nAnn: I adopted")
    assert "[17 June]\nBob: The vet is called Dr Shah" in rolled.text
    assert rolled.sources == ("s1", "s2")
    small = summarise([Spoken(id=i, text=t) for i, t in texts.items()], max_tokens=40, count=COUNT)
    assert 0 < small.tokens <= 40


def test_other_languages_are_kept_whole() -> None:
    """The word lists are English; without them nothing breaks and nothing is lost that fits."""
    span = [
        said(1, "Ich habe am Samstag einen Hund namens Pixel adoptiert."),
        said(2, "我在五月搬到了柏林。", "李"),
        said(3, "Мы переехали в Порту."),
    ]
    text = summarise(span, max_tokens=300, count=COUNT).text
    assert "Ich habe am Samstag einen Hund namens Pixel adoptiert" in text
    assert "我在五月搬到了柏林" in text
    assert "Мы переехали в Порту" in text


@pytest.mark.parametrize("empty", [[], [said(1, "")], [said(1, "Hey! Wow!")], [said(1, "!!! ...")]])
def test_nothing_said_is_no_summary(empty: list[Spoken]) -> None:
    """No empty headings."""
    summary = summarise(empty, max_tokens=100, count=COUNT)
    assert (summary.text, summary.tokens, summary.lines) == ("", 0, ())


def test_clauses_that_were_side_by_side_stay_joined() -> None:
    """What is kept whole reads as it was said."""
    message = said(1, "My brother Tim plays the cello, and he wants to join an orchestra in Vienna.")
    assert "cello, and he wants" in summarise([message], max_tokens=100, count=COUNT).text


def test_pieces_know_what_questions_ask_for() -> None:
    """Names, numbers and times are marked; questions are told from statements."""
    statement, question = split_units("We met Clara at 7 on Monday. Did you like the harbour?")
    assert {"clara", "7"} <= statement.marked
    assert not statement.asks
    assert question.asks


def test_a_line_keeps_its_sources_over_generations() -> None:
    """Summaries of summaries still name the messages."""
    lines = [SummaryLine(text="I adopted Pixel", speaker="Ann", timestamp=MAY, sources=("m3", "m4"))]
    assert summarise((), max_tokens=50, count=COUNT, previous=lines).sources == ("m3", "m4")


def test_many_messages_take_little_time() -> None:
    """A thousand messages are summarised in one go; the lazy greedy looks at few of them again."""
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return COUNT(text)

    span = [said(n, f"Item {n} of the list costs {n * 7} euros at shop {n % 13}.") for n in range(1000)]
    assert summarise(span, max_tokens=300, count=count, config=SummaryConfig()).tokens > 250
    assert counted < 400_000
