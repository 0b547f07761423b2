"""The order in which memories answer a query."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.candidates import Candidates, Item
from memory_mgr.policy.query import analyse
from memory_mgr.policy.recall import Ranked, Shown, best, rank, recency, repeats, score
from memory_mgr.policy.recall_config import RecallConfig

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
QUESTION = analyse("What did Ada paint?")


def item(name: str, content: str = "", **fields: object) -> Item:
    """An item, said yesterday unless told; its content is its name if none is given."""
    said = fields.pop("timestamp", NOW - timedelta(days=1))
    assert isinstance(said, datetime)
    return Item(name, content or f"content of {name}", said.timestamp(), **fields)  # type: ignore[arg-type]


def order(items: list[Item], question: str = "What did Ada paint?", **settings: Any) -> list[str]:
    """The ids that a question finds, best first."""
    config = RecallConfig(**settings)
    return [r.id for r in rank(analyse(question, now=NOW), items, config, now=NOW, limit=10)]


def conversation(*contents: str, **fields: dict[str, object]) -> list[Item]:
    """Turns of one source, in order; `fields` by name of turn ("m0")."""
    count = len(contents)
    return [
        item(
            f"m{i}", content, source="chat", previous_id=f"m{i - 1}" if i else None,
            next_id=f"m{i + 1}" if i + 1 < count else None, **fields.get(f"m{i}", {}),
        )
        for i, content in enumerate(contents)
    ]  # fmt: skip


COSINES = st.floats(-1, 1)
SCORES = st.floats(0, 50)


@st.composite
def pools(draw: st.DrawFn) -> list[Item]:
    """Pools of any make, links broken or circular, texts of any kind."""
    count = draw(st.integers(0, 9))
    link = st.one_of(st.none(), st.integers(0, 11).map(str))
    return [
        Item(
            id=str(i),
            content=draw(st.text(max_size=20)),
            timestamp=(NOW - timedelta(hours=draw(st.integers(-10, 10_000)))).timestamp(),
            tier=draw(st.sampled_from(["long_term", "short_term", "made-up"])),
            source=draw(st.sampled_from([None, "a", "b"])),
            speaker=draw(st.sampled_from([None, "Ada", "Bob"])),
            dense=draw(COSINES),
            lexical=draw(SCORES),
            previous_id=draw(link),
            next_id=draw(link),
            importance=draw(st.floats(0, 1)),
            parent=draw(st.sampled_from([None, None, "whole"])),
            eligible=draw(st.booleans()),
        )
        for i in range(count)
    ]


@given(pools(), st.integers(0, 12), st.text(max_size=40))
def test_every_ranking_is_sound(items: list[Item], limit: int, question: str) -> None:
    """From no entries to many: only eligible ids, each once, at most `limit`, best first, scores finite in [0, 1]."""
    ranked = rank(analyse(question, now=NOW), items, now=NOW, limit=limit)
    allowed = {i.parent or i.id for i in items if i.eligible}
    ids = [r.id for r in ranked]
    assert set(ids) <= allowed
    assert len(ids) == len(set(ids)) == min(limit, len(allowed))
    scores = [r.score for r in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(math.isfinite(s) and 0 <= s <= 1 for s in scores)


@given(pools())
def test_order_of_the_pool_does_not_matter(items: list[Item]) -> None:
    """The same pool in another order gives the same ranking."""
    forth = rank(QUESTION, items, now=NOW, limit=5)
    back = rank(QUESTION, items[::-1], now=NOW, limit=5)
    assert [r.score for r in forth] == pytest.approx([r.score for r in back])


@given(pools())
def test_parts_explain_the_score(items: list[Item]) -> None:
    """The parts of a score sum to it, unless it was capped or put back as a repetition."""
    distinct = [i._replace(content=f"{i.content} {n}") for n, i in enumerate(items)]
    for result in rank(QUESTION, distinct, now=NOW, limit=20):
        assert min(1.0, sum(result.parts.values())) == pytest.approx(result.score, abs=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_entries(count: int) -> None:
    """With one to three entries, where statistics mean nothing, the entry nearest in meaning comes first."""
    items = [item(f"e{i}", dense=0.1 + 0.3 * (i == count - 1), lexical=1e-6) for i in range(count)]
    assert order(items)[0] == f"e{count - 1}"


def test_words_and_meaning_both_count() -> None:
    """A match of both kinds beats a match of one; either beats none."""
    both, words = item("both", dense=0.6, lexical=9), item("words", lexical=9)
    meaning, none = item("meaning", dense=0.6), item("none")
    assert order([none, meaning, words, both]) == ["both", "words", "meaning", "none"]


def test_an_answer_is_found_by_its_question() -> None:
    """The turn that answers shares no word with the query; the question before it does, and lifts it."""
    items = conversation(
        "Ada: so what did you paint this time?", "Bob: a sunrise over the lake", "Ada: see you", "Bob: bye bye",
        m0={"lexical": 9.0},
    )  # fmt: skip
    assert order(items)[:2] == ["m1", "m0"] or order(items)[:2] == ["m0", "m1"]
    assert order(items, answer_weight=0, neighbour_weight=0)[0] == "m0"


def test_time_named_in_the_query() -> None:
    """Of two like entries the one from the named month comes first."""
    june = item("june", timestamp=datetime(2023, 6, 10, tzinfo=UTC), dense=0.4)
    july = item("july", timestamp=datetime(2023, 9, 10, tzinfo=UTC), dense=0.45)
    assert order([july, june], "What happened in June 2023?") == ["june", "july"]
    assert order([july, june], "What happened?") == ["july", "june"]


def test_the_speaker_who_is_named() -> None:
    """What the named person said comes before what another said; naming both helps neither."""
    ada, bob = item("ada", speaker="Ada", dense=0.4), item("bob", speaker="Bob", dense=0.41)
    assert order([bob, ada], "What does Ada like?")[0] == "ada"
    assert order([bob, ada], "What do Ada and Bob like?")[0] == "bob"
    inside = [item("x", "Bob: I like it", dense=0.41), item("y", "Ada: I like it too", dense=0.4)]
    assert order(inside, "What does ADA like?")[0] == "y"


def test_facts_hold_their_own_beside_conversations() -> None:
    """A fact without neighbours or session that matches best is not buried by a chat that matches a bit."""
    chat = conversation(*(f"Ada: painting talk number {i} which goes on for quite a few words" for i in range(6)))
    chat = [turn._replace(lexical=4.0, dense=0.4) for turn in chat]
    fact = item("fact", "Ada paints sunsets", lexical=9.0, dense=0.7)
    assert order([*chat, fact])[0] == "fact"


def test_repetitions_are_put_back() -> None:
    """The same words twice take one place near the top; something else comes before the repetition."""
    items = [
        item("a", "I paint", dense=0.6),
        item("b", "i  PAINT", dense=0.59),
        item("c", "Sunsets mostly", dense=0.55),
    ]
    assert order(items) == ["a", "c", "b"]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=120), st.integers(1, 12), st.randoms(use_true_random=False))
def test_no_more_is_read_than_tells_the_best(texts: list[int], limit: int, chance: random.Random) -> None:
    """However many repeat each other: the best of the first front that suffices are the best of the last."""
    items = [item(str(i), f"text {t}", lexical=chance.uniform(1, 9)) for i, t in enumerate(texts)]
    scored = score(QUESTION, Candidates.of(items, QUESTION), RecallConfig(), now=NOW)

    def ids(positions: list[int]) -> list[str]:
        front = [Shown(i, items[i].id, items[i].content) for i in positions]
        return [r.id for r in best(scored, front, repeats(scored, front), limit, explain=False)]

    fronts = list(scored.fronts(limit))
    assert [r.id for r in rank(QUESTION, items, now=NOW, limit=limit)] == ids(fronts[-1])
    assert len(fronts[0]) <= limit + 20


def test_context_only_items_are_not_returned() -> None:
    """An entry that the filter excludes may lift its neighbour but is not returned."""
    items = conversation("Bob: what do you paint?", "Ada: the lake", m0={"lexical": 9.0, "eligible": False})
    assert order(items) == ["m1"]


def test_documents_come_back_whole() -> None:
    """Passages of one document give one result, which names the best passage."""
    passages = [item(f"d#{i}", parent="d", dense=0.2 + i / 10) for i in range(3)]
    (result,) = rank(QUESTION, passages, now=NOW, limit=5)
    assert (result.id, result.passage) == ("d", "d#2")


def test_ties_go_to_the_newer() -> None:
    """Of two entries that match alike the newer comes first, so that what changed wins."""
    old, new = item("old", timestamp=NOW - timedelta(days=90)), item("new", timestamp=NOW - timedelta(days=2))
    assert order([old, new]) == order([new, old]) == ["new", "old"]
    assert order([old, new], recency_weight=0) == ["new", "old"]


def test_recency_halves() -> None:
    """Recency is 1 now, one half after the half-life of the tier, and never fails on ages beyond reason."""
    config = RecallConfig(half_life_days={"long_term": 10})
    ages = {0: 1.0, 10: 0.5, 20: 0.25, -5: 1.0}
    for days, expected in ages.items():
        said = Candidates.of([item("x", timestamp=NOW - timedelta(days=days))], QUESTION)
        assert recency(said, NOW, config) == pytest.approx(expected)
    assert recency(Candidates.of([item("x", timestamp=datetime(1, 1, 1, tzinfo=UTC))], QUESTION), NOW, config) >= 0


def test_relevance_comes_first() -> None:
    """By default neither age nor importance overturns a clear difference in relevance."""
    relevant = item("relevant", lexical=9, dense=0.6, timestamp=NOW - timedelta(days=900), importance=0)
    fresh = item("fresh", lexical=2, dense=0.2, timestamp=NOW, importance=1)
    assert order([fresh, relevant]) == ["relevant", "fresh"]


def test_nothing_to_rank() -> None:
    """No items or no places give no results."""
    assert rank(QUESTION, [], now=NOW, limit=5) == []
    assert rank(QUESTION, [item("a")], now=NOW, limit=0) == []


def test_weights_of_zero_still_rank() -> None:
    """With every weight at zero the newest come first, and nothing divides by zero."""
    zero: dict[str, Any] = {name: 0.0 for name in RecallConfig.model_fields if name.endswith("_weight")}
    items = [item("old", timestamp=NOW - timedelta(days=9), dense=0.9), item("new")]
    assert order(items, **zero) == ["new", "old"]


def test_settings_are_bounded() -> None:
    """A setting that cannot work is refused with its name and value."""
    with pytest.raises(ConfigurationError, match=r"session_weight.*-1"):
        RecallConfig(session_weight=-1)
    unknown: dict[str, Any] = {"unheard_of": 1}
    with pytest.raises(ConfigurationError, match="unheard_of"):
        RecallConfig(**unknown)


def test_ranked_is_plain_data() -> None:
    """A result compares by value."""
    assert Ranked("a", 0.5) == Ranked("a", 0.5)
