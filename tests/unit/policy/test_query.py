"""What is understood of a query without a model."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.query import analyse, focus
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.policy.time_expressions import TimeHint, time_fit, time_hints

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)
PROMPT = "You are a helpful assistant. Answer briefly and never invent facts. " * 25


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("separator", ["\n\n", " ", "\nUser: "])
def test_finds_the_question_behind_a_prompt(separator: str) -> None:
    """A system prompt in front of the question, however it is joined, is not looked up."""
    assert focus(PROMPT + separator + "When did Ada visit Turin?") == "When did Ada visit Turin?"


def test_a_full_stop_in_a_name_does_not_cut_the_question() -> None:
    """A question on its own line is taken whole."""
    assert focus(PROMPT + "\nDid Dr. Ada meet C. S. Lewis?") == "Did Dr. Ada meet C. S. Lewis?"


def test_finds_keywords_on_the_last_line() -> None:
    """Without a question mark the last line of a long text is the query."""
    assert focus(PROMPT + "\n\nAda Turin visit") == "Ada Turin visit"


def test_finds_a_question_in_front_of_pasted_text() -> None:
    """A question may also come first, before what it is about."""
    assert focus("Who wrote this? " + "It was a dark night. " * 40) == "Who wrote this?"


def test_short_queries_stay_whole() -> None:
    """A query of ordinary length is not touched, even if it has several sentences."""
    text = "I moved last year. Where do I live? Think of the letters."
    assert focus(f"  {text} ") == text


def test_focus_can_be_switched_off() -> None:
    """With focus_query=False the whole text is the query."""
    assert analyse(PROMPT, config=RecallConfig(focus_query=False)).text == PROMPT.strip()


@given(st.text(max_size=2000))
def test_any_text_is_understood(text: str) -> None:
    """No text fails, and a text with something in it never becomes empty."""
    query = analyse(text, now=NOW)
    assert bool(query.text) == bool(text.strip())
    assert len(query.text) <= max(len(text), 1)


def test_what_is_asked_for() -> None:
    """Questions for a time or an amount are told from others."""
    assert analyse("When did she leave?").asks_when
    assert analyse("What year was that?").asks_when
    assert analyse("How many dogs are there?").asks_number
    plain = analyse("What is her name?")
    assert (plain.asks_when, plain.asks_number, plain.times) == (False, False, ())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("in June", TimeHint(month=6)),
        ("in June 2023", TimeHint(2023, 6)),
        ("on 5 June 2023", TimeHint(2023, 6, 5)),
        ("June 5th, 2023", TimeHint(2023, 6, 5)),
        ("on 2023-06-05", TimeHint(2023, 6, 5)),
        ("in 2022", TimeHint(2022)),
        ("im März 2024", TimeHint(2024, 3)),
        ("le 3 février", TimeHint(None, 2, 3)),
        ("in May", TimeHint(month=5)),
    ],
)
def test_times_that_are_named(text: str, hint: TimeHint) -> None:
    """Dates in words and ISO form are read as far as they go."""
    assert time_hints(f"What happened {text}?") == (hint,)


@pytest.mark.parametrize(
    "text", ["May I ask something?", "Did April call?", "They march on", "room 2099a", "no time here"]
)
def test_words_that_are_no_times(text: str) -> None:
    """Words that only look like months are left alone."""
    assert time_hints(text, NOW) == ()


def test_relative_times_need_now() -> None:
    """Words like "yesterday" and "two weeks ago" are resolved against now, and only then."""
    assert time_hints("what did I say yesterday?") == ()
    (yesterday,) = time_hints("what did I say yesterday?", NOW)
    assert yesterday.fit(at("2024-03-14 09:00")) == 1
    assert yesterday.fit(at("2024-03-01 09:00")) == 0
    (weeks,) = time_hints("the trip two weeks ago", NOW)
    assert weeks.fit(at("2024-03-02 09:00")) == 1
    assert weeks.fit(at("2024-01-02 09:00")) == 0


def test_fit_fades_after_the_time() -> None:
    """What happened in June is told in June or soon after, not before."""
    june = (TimeHint(2023, 6),)
    fits = [
        time_fit(june, at(t)) for t in ("2023-06-30 10:00", "2023-07-03 10:00", "2023-07-10 10:00", "2023-07-20 10:00")
    ]
    assert fits[0] == 1
    assert 0.5 > fits[1] > fits[2] > fits[3] == 0
    assert time_fit(june, at("2023-05-31 10:00")) == 0
    assert time_fit((TimeHint(month=12),), at("2024-01-03 10:00")) > 0
    assert time_fit((TimeHint(2023, 2, 30),), at("2023-02-28 10:00")) == 0


@given(st.text(max_size=100), st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)))
def test_fit_is_bounded(text: str, moment: datetime) -> None:
    """Whatever is named, the fit lies in [0, 1]."""
    hints = time_hints(f"{text} in May 2023, three years ago, on 31 December 9999", moment.replace(tzinfo=UTC))
    assert 0 <= time_fit(hints, moment) <= 1
