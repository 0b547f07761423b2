"""Duplicates: what says the same becomes one, what only sounds alike does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.dedupe import DedupeConfig, Record, fingerprint, plan_merges, same_meaning

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(name: str, text: str, *, days: float = 0, **more: object) -> Record:
    """A record said some days after NOW."""
    return Record(id=name, text=text, timestamp=NOW + timedelta(days=days), **more)  # type: ignore[arg-type]


def alike(count: int) -> np.ndarray:
    """Vectors that are all the same, so that only the words decide."""
    return np.tile(np.array([1, 0], dtype=np.float32), (count, 1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I live in Paris.", "i live in  paris"),
        ("My favourite colour is green", "My favorite color is green!"),
        ("User likes pizza", "The user enjoys pizza"),
        ("I am allergic to peanuts", "I'm allergic to peanuts."),
        ("I am allergic to peanuts", "I am very allergic to peanuts"),
        ("The user prefers dark mode in the editor", "User prefers dark mode in editor"),
        ("I can't eat nuts", "I cannot eat nuts"),
    ],
)
def test_rewordings_say_the_same(first: str, second: str) -> None:
    """Case, spelling, contractions, articles and emphasis make no difference; the order of the two neither."""
    assert same_meaning(first, second)
    assert same_meaning(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I live in Paris", "I live in Rome"),
        ("My favourite colour is green", "My favourite colour is blue"),
        ("I like cats", "I don't like cats"),
        ("The door is open", "The door is not open"),
        ("I have 2 cats", "I have 3 cats"),
        ("Anna loves Bob", "Bob loves Anna"),
        ("He beat me", "I beat him"),
        ("I live in Rome", "My sister lives in Rome"),
        ("I want to live in Rome", "I live in Rome"),
        ("I'll buy the boat", "I buy the boat"),
        ("You live in Paris.", "You live in Paris?"),
        ("Meeting moved to Friday", "Meeting moved to Monday"),
        ("The flight leaves at 10:00", "The flight leaves at 10:30"),
        ("The dog bit the man", "The man bit the dog"),
        ("I started the job", "I left the job"),
        ("Wohnt in Köln", "Wohnt in Bonn"),
    ],
)
def test_what_differs_in_meaning_is_no_duplicate(first: str, second: str) -> None:
    """Names, numbers, negation, persons, wishes, order and other words keep texts apart, however close the vectors."""
    assert not same_meaning(first, second)
    assert not plan_merges([record("a", first), record("b", second)], alike(2))


def test_distant_vectors_are_never_near_duplicates() -> None:
    """The same words are not enough when the vectors disagree."""
    records = [record("a", "User likes pizza"), record("b", "The user enjoys pizza")]
    assert not plan_merges(records, np.eye(2, dtype=np.float32))
    assert plan_merges(records, alike(2))[0].reason == "near"


def test_a_merge_loses_nothing() -> None:
    """The richest stays; best importance, all sources, both dates and all origins are kept."""
    records = [
        record("a", "I am allergic to nuts", days=0, source="chat-1", importance=0.9, derived_from=("m1",)),
        record("b", "I am really allergic to nuts", days=2, source="chat-2", importance=0.4, derived_from=("m2",)),
        record("c", "i am allergic to nuts!", days=4, source="chat-1"),
    ]
    [merge] = plan_merges(records, alike(3))
    assert merge.keep == "b"
    assert merge.drop == ("a", "c")
    assert merge.importance == 0.9
    assert merge.sources == ("chat-1", "chat-2")
    assert (merge.first_seen, merge.last_seen) == (NOW, NOW + timedelta(days=4))
    assert set(merge.derived_from) == {"m1", "m2", "a", "c"}


def test_a_pinned_duplicate_is_the_one_that_stays() -> None:
    """Pinned entries are kept even if another is newer or longer."""
    records = [record("a", "I like tea", pinned=True), record("b", "I like tea!", days=1)]
    [merge] = plan_merges(records)
    assert merge.keep == "a"
    assert merge.pinned


def test_others_words_are_not_duplicates() -> None:
    """The same sentence from two speakers is two facts, whether the speaker is a field or in the text."""
    assert not plan_merges([record("a", "I like tea", speaker="Ann"), record("b", "I like tea", speaker="Bob")])
    assert not plan_merges([record("a", "Ann: I like tea"), record("b", "Bob: I like tea")], alike(2))


def test_yesterday_is_another_day_next_week() -> None:
    """Texts that lean on the day they were said are duplicates only within hours."""
    text = "I went to the gym yesterday"
    assert not plan_merges([record("a", text), record("b", text, days=7)])
    assert plan_merges([record("a", text), record("b", text, days=0.1)])


def test_only_what_changed_is_compared() -> None:
    """Groups without a changed entry are left alone."""
    records = [record("a", "I like tea"), record("b", "I like tea"), record("c", "I own a boat")]
    assert not plan_merges(records, alike(3), changed={"c"})
    assert plan_merges(records, alike(3), changed={"b"})


sentences = st.sampled_from(
    [
        "I like tea",
        "i like tea!",
        "I love tea",
        "I really like tea",
        "I like green tea",
        "I like tea today",
        "Do I like tea?",
        "I don't like tea",
        "",
        "私はお茶が好きです",
    ]
)


@given(
    st.lists(
        st.tuples(sentences, st.floats(0, 3), st.sampled_from([None, "Ann"]), st.floats(0, 1), st.booleans()),
        max_size=12,
    )
)
def test_plans_are_disjoint_stable_and_final(
    rows: list[tuple[str, float, str | None, float, bool]],
) -> None:
    """An entry is in one group at most, the order does not matter, and a second plan is empty."""
    records = [
        record(f"r{i}", text, days=days, speaker=speaker, importance=importance, pinned=pinned)
        for i, (text, days, speaker, importance, pinned) in enumerate(rows)
    ]
    merges = plan_merges(records, alike(len(records)))
    named = [name for merge in merges for name in (merge.keep, *merge.drop)]
    assert len(named) == len(set(named))
    dropped = {name for merge in merges for name in merge.drop}
    left = [r for r in records if r.id not in dropped]
    assert not plan_merges(left, alike(len(left)))
    assert sorted(plan_merges(records[::-1], alike(len(records))), key=lambda m: m.keep) == sorted(
        merges, key=lambda m: m.keep
    )


@given(st.text(), st.text())
def test_fingerprints_ignore_case_and_spacing(text: str, speaker: str) -> None:
    """Case and outer space do not change the key; the speaker does."""
    assert fingerprint(f"  {text.casefold()}\n") == fingerprint(text.casefold())
    assert fingerprint(text, speaker) == fingerprint(text, speaker)
    assert fingerprint(text, "a") != fingerprint(text, "b")


def test_vectors_must_match_the_records() -> None:
    """Another number of vectors than records is refused."""
    with pytest.raises(ValueError, match="1 records but 2 vectors"):
        plan_merges([record("a", "x")], alike(2))


@pytest.mark.parametrize("wrong", [{"min_similarity": 1.1}, {"min_overlap": 0}])
def test_settings_are_bounded(wrong: dict[str, float]) -> None:
    """Settings that cannot work are refused."""
    with pytest.raises(ConfigurationError):
        DedupeConfig(**wrong)
