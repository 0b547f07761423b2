"""Supersession: plain newer statements replace older ones about the same thing, ordinary talk replaces nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.claims import claims
from memory_mgr.policy.supersession import Statement, Supersession, SupersessionConfig, plan_supersessions

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def statements(*texts: str) -> list[Statement]:
    """Statements an hour apart, named "0", "1", ..., in one stream."""
    return [
        Statement(id=str(i), text=text, timestamp=NOW + timedelta(hours=i), source="chat")
        for i, text in enumerate(texts)
    ]


def plan(*texts: str) -> list[Supersession]:
    """What is planned for texts said one after the other."""
    return plan_supersessions(statements(*texts))


@pytest.mark.parametrize(
    ("older", "newer", "attribute", "value"),
    [
        ("I live in Paris", "I moved to Berlin", "home", "berlin"),
        ("I'm based in Paris.", "We've just moved from Paris to Berlin!", "home", "berlin"),
        ("I live in New York City.", "I relocated to Austin, Texas", "home", "austin"),
        ("User lives in Paris", "User moved to Berlin", "home", "berlin"),
        ("Anna lives in Paris", "Anna has moved to Rome", "home", "rome"),
        ("My favourite colour is blue.", "My favorite color is now green.", "favourite:colour", "green"),
        ("I work at Initech.", "I changed my job to Hooli", "employer", "hooli"),
        ("I work as a teacher", "I switched my career to nurse", "occupation", "nurse"),
        ("I'm vegan", "I'm vegetarian now", "diet", "vegetarian"),
        ("I'm single", "I got married!", "relationship", "married"),
        ("My email is a@b.com", "My email is c@d.org", "attribute:email", "c@d.org"),
        ("My phone number is 555-0100", "My phone number changed to 555-0199", "attribute:phone number", "555-0199"),
        ("I smoke", "I finally quit smoking", "smoking", "smoking"),
    ],
)
def test_a_newer_value_replaces_the_older(older: str, newer: str, attribute: str, value: str) -> None:
    """A changed attribute supersedes the statement of the old value, which can be hidden."""
    [found] = plan(older, newer)
    assert (found.old, found.new, found.reason) == ("0", "1", "changed")
    assert (found.attribute, found.new_value, found.complete) == (attribute, value, True)
    assert found.confidence >= 0.6


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I eat meat", "I no longer eat meat"),
        ("I eat meat every day.", "I don't eat meat anymore"),
        ("I drink coffee", "I stopped drinking coffee last week"),
        ("I have a car", "I no longer have a car"),
        ("I work at Initech", "I no longer work at Initech"),
    ],
)
def test_what_has_ended_supersedes_what_was(older: str, newer: str) -> None:
    """Saying "no longer" and its like ends the statement of the same habit."""
    [found] = plan(older, newer)
    assert (found.old, found.reason, found.new_value) == ("0", "ended", "")


def test_a_correction_finds_what_it_corrects() -> None:
    """Saying "it's X, not Y" supersedes the latest own statement with Y in the same stream."""
    [found] = plan("The party is on Monday.", "How nice!", "Actually, it's on Tuesday, not Monday")
    assert (found.old, found.new, found.reason) == ("0", "2", "corrected")
    assert (found.old_value, found.new_value) == ("monday", "tuesday")
    assert not found.complete, "hiding it would lose what is on Tuesday"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I live in Paris", "Would I live in Berlin?"),
        ("I live in Paris", "I want to move to Berlin"),
        ("I live in Paris", "I'm moving to Berlin next month"),
        ("I live in Paris", "If I moved to Berlin, I would miss it"),
        ("I live in Paris", "When I was young I lived in Berlin"),
        ("I live in Paris", "I moved to Berlin in 1999"),
        ("I live in Paris", "I moved to a bigger flat"),
        ("I live in Paris", "I moved to Paris, France"),
        ("I live in Paris", "My sister moved to Berlin"),
        ("I live in Paris", "They moved to Berlin"),
        ("Ann: I live in Paris", "Bob: I moved to Berlin"),
        ("Anna lives in Paris", "Berta moved to Berlin"),
        ("My favourite colour is blue", "My favourite food is pizza"),
        ("My favourite colour is blue", "One of my favourite colours is green"),
        ("I eat meat", "I no longer eat fish"),
        ("I eat meat", "I don't eat meat on Fridays"),
        ("I love football", "I no longer watch football"),
        ("I work at Initech", "I work hard at the gym"),
        ("I have a dog called Rex", "I have a dog called Max"),
        ("I went to Paris", "I went to Berlin"),
        ("I'm so happy", "I'm so tired now"),
        ("It's Monday, not Tuesday?", "Not bad, it's great"),
        ("The film was great", "It's not just the film, but the music"),
        ("Ich wohne in Paris", "Ich bin nach Berlin gezogen"),
    ],
)
def test_ordinary_talk_supersedes_nothing(older: str, newer: str) -> None:
    """Questions, wishes, plans, memories, other people, other things and other languages replace nothing."""
    assert plan(older, newer) == []


def test_an_entry_that_says_more_is_not_hidden() -> None:
    """If the older entry also tells other things, the plan is not complete: link, do not hide."""
    [found] = plan("I live in Paris with two dogs and a parrot", "I moved to Berlin")
    assert not found.complete


def test_each_value_replaces_the_one_before() -> None:
    """Moving away and back makes a chain; the latest statement stays."""
    found = plan("I live in Paris", "I moved to Berlin", "I moved back to Paris")
    assert [(p.old, p.new) for p in found] == [("0", "1"), ("1", "2")]


def test_only_the_same_speaker_and_subject_count() -> None:
    """Speakers and subjects given by the application must agree."""
    a, b = statements("I live in Paris", "I moved to Berlin")
    assert not plan_supersessions([replace(a, speaker="ann"), replace(b, speaker="bob")])
    assert not plan_supersessions([replace(a, subject="ann"), replace(b, subject="bob")])
    assert plan_supersessions([replace(a, speaker="Ann", subject="x"), replace(b, speaker="ann", subject="x")])


def test_only_what_changed_is_planned() -> None:
    """Plans between entries that are both old are not made again."""
    found = statements("I live in Paris", "I moved to Berlin")
    assert not plan_supersessions(found, changed=set())
    assert plan_supersessions(found, changed={"1"})
    assert plan_supersessions(found, changed={"0"})


def test_confidence_can_be_demanded() -> None:
    """Below the least confidence nothing is planned."""
    found = statements("I live in Paris", "I moved to Berlin")
    assert not plan_supersessions(found, SupersessionConfig(min_confidence=0.99))


def test_order_is_by_time_not_by_position() -> None:
    """An older statement imported later supersedes nothing newer."""
    found = statements("I live in Paris", "I moved to Berlin")
    assert plan_supersessions(found[::-1]) == plan_supersessions(found)


lines = st.sampled_from(
    [
        "I live in Paris",
        "I moved to Berlin",
        "I moved back to Rome. I eat meat",
        "I no longer eat meat",
        "I eat meat",
        "It's Rome, not Berlin",
        "My favourite colour is red",
        "My favourite colour is green, I live in Oslo",
        "ok",
        "",
    ]
)


@given(st.lists(lines, max_size=10))
def test_plans_point_forward_and_end(texts: list[str]) -> None:
    """Each entry is superseded once, by a later one; without the superseded ones the rest settles."""
    left = statements(*texts)
    for _ in range(len(texts) + 1):
        found = plan_supersessions(left)
        assert len({p.old for p in found}) == len(found)
        assert all(int(p.old) < int(p.new) for p in found)
        left = [s for s in left if s.id not in {p.old for p in found}]
    assert not plan_supersessions(left)


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    """No text breaks the patterns, and every claim has a subject, a value and a strength in [0, 1]."""
    for claim in claims(text):
        assert claim.value
        assert 0 <= claim.strength <= 1


def test_many_statements_in_a_row_form_one_line() -> None:
    """Plans of a long line connect neighbours only."""
    cities = ["Rome", "Oslo", "Lima", "Cairo", "Quito"]
    found = plan(*(f"I live in {city} now" for city in cities))
    assert [(int(p.old), int(p.new)) for p in found] == list(pairwise(range(len(cities))))


def test_settings_are_bounded() -> None:
    """Settings that cannot work are refused."""
    with pytest.raises(ConfigurationError):
        SupersessionConfig(min_confidence=1.5)
