"""How text becomes words, and questions become full-text queries, tried on SQLite's own FTS5."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.lexical import (
    FTS_COLUMNS,
    FTS_TOKENIZER,
    Said,
    context_columns,
    index_text,
    match_expression,
    needed_terms,
    query_terms,
    repair_term,
    select_terms,
    words,
)
from memory_mgr.policy.recall_config import RecallConfig

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)


def found(texts: list[str], query: str) -> list[int]:
    """Positions of `texts` that match `query`, best first."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f'CREATE VIRTUAL TABLE t USING fts5({", ".join(FTS_COLUMNS)}, tokenize="{FTS_TOKENIZER}")')
        rows = [(i, index_text(text)) for i, text in enumerate(texts)]
        db.executemany("INSERT INTO t(rowid, own, near, far) VALUES (?, ?, '', '')", rows)
        expression = match_expression(query_terms(query))
        if not expression:
            return []
        return [r for (r,) in db.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank", (expression,))]


FILLER = ["Der Zug war pünktlich.", "We had pizza.", "今日は雨です。", "שלום לכולם", "مرحبا بالجميع", "मौसम अच्छा है"]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Die Überraschung für Jürgen ist fertig", "uberraschung jurgen"),
        ("Wir wohnen in der Hauptstraße", "HAUPTSTRASSE"),
        ("J'ai mangé une crème brûlée à Besançon", "creme brulee besancon"),
        ("我昨天在北京大学见到了王老师", "北京大学的老师"),
        ("来週の金曜日に歯医者の予約があります", "歯医者はいつ"),
        ("서울에서 김치를 먹었어요", "김치를"),
        ("אני גר בירושלים עם אחותי", "בִּירוּשָׁלַיִם"),
        ("ذهبت أمس إلى المدرسة الجديدة", "المَدْرَسَة"),
        ("मुझे हिन्दी भाषा पसंद है", "हिन्दी"),
        ("ฉันชอบกินข้าวผัดที่บ้าน", "ข้าวผัด"),
        ("Ich mag ｆｕｌｌｗｉｄｔｈ", "fullwidth"),
        ("Where I went with the kids", "Where did the children go?"),
    ],
)
def test_finds_its_text_in_many_languages(text: str, query: str) -> None:
    """A query finds the text that shares its words, whatever the accents, case, points, script or irregular form."""
    assert found([*FILLER, text], query)[:1] == [len(FILLER)]


@given(st.text(max_size=60))
def test_any_text_makes_a_valid_query(text: str) -> None:
    """No user text, FTS syntax included, makes SQLite refuse the query."""
    found(["hello world", "second text"], text)


@pytest.mark.parametrize(
    "text", ['"a" OR b*', "own:secret", "NEAR(a b)", "a AND NOT b", "^start", "(", '"', "col : x", "a - b"]
)
def test_query_syntax_is_plain_text(text: str) -> None:
    """Operators, column filters, stars and parentheses in a query match as words or not at all."""
    expression = match_expression(query_terms(text))
    assert all(part.startswith('"') and part.endswith('"') for part in expression.split(" OR ") if part)
    assert not set(expression.replace('"', "").replace(" OR ", " ")) & set("*()^:-")
    found(["a b secret"], text)


@given(st.text(max_size=80))
def test_a_text_finds_itself(text: str) -> None:
    """Index and query agree: every text with a word in it is found by that same text."""
    if words(text):
        assert 0 in found([text, "something else entirely"], text)


@given(st.text(max_size=80))
def test_index_text_is_stable(text: str) -> None:
    """Indexing what was indexed changes nothing for text without unspaced scripts, and never fails."""
    once = index_text(text)
    if all(c < "\u0e00" for c in once):
        assert index_text(once) == once


def test_stop_words_go_unless_all_are() -> None:
    """Function words are dropped from a query; a query of nothing else is looked up as it is."""
    assert query_terms("When did Ada go to the museum?") == ("ada", "go", "museum")
    assert query_terms("who was that") == ("who", "was", "that")
    assert query_terms("?!") == ()


def said(text: str, hours_ago: float = 0) -> Said:
    """Something said before now."""
    return Said(text, NOW - timedelta(hours=hours_ago))


def test_context_is_measured_in_words() -> None:
    """Many short messages reach as far back as one long one: near is the last 20 words, far the last 60."""
    short = [said(f"word{i} here now") for i in range(30)]
    near, far = context_columns(short, NOW, RecallConfig(context_entries=30))
    assert near.split()[0::3] == [f"word{i}" for i in range(7)]
    assert far.split()[0::3] == [f"word{i}" for i in range(7, 20)]
    long = [said(" ".join(f"w{i}" for i in range(70))), said("too far back")]
    near, far = context_columns(long, NOW)
    assert near.startswith("w0 w1 ")
    assert far == ""


def test_context_stops_at_a_pause() -> None:
    """What was said before a long pause belongs to another session."""
    assert context_columns([said("old", hours_ago=20)], NOW) == ("", "")
    assert context_columns([said("new", 1), said("old", 20)], NOW) == ("new", "")
    assert context_columns([], NOW) == ("", "")


def test_a_long_entry_lends_only_its_end() -> None:
    """A page-long answer does not fill the index again as the context of what follows."""
    near, _ = context_columns([said(" ".join(f"w{i}" for i in range(1000)))], NOW)
    assert len(near.split()) == 80
    assert near.endswith("w999")


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 100)), st.integers(1, 150))
def test_term_budget(frequency: dict[str, int], budget: int) -> None:
    """Rarest terms first within the budget, unknown ones free, and at least one term with postings stays."""
    terms = sorted(frequency, reverse=True)
    chosen = select_terms(terms, frequency, budget)
    known = [t for t in chosen if frequency[t]]
    assert len(known) <= 1 or sum(frequency[t] for t in known) <= budget
    assert bool(known) == any(frequency.values())
    assert list(chosen) == [t for t in terms if t in chosen]
    assert all(frequency[t] <= min((frequency[u] for u in terms if u not in chosen), default=100) for t in chosen)


def test_the_rarest_words_that_are_enough() -> None:
    """Rarest first until they occur often enough together; all of them if they never do."""
    frequency = {"the": 900, "lake": 40, "zurich": 3, "swim": 70}
    terms = ["the", "lake", "zurich", "swim", "unheard"]
    assert needed_terms(terms, frequency, 100) == ("unheard", "zurich", "lake", "swim")
    assert needed_terms(terms, frequency, 3) == ("unheard", "zurich")
    assert set(needed_terms(terms, frequency, 10_000)) == set(terms)


VOCABULARY = [("museum", 4), ("music", 9), ("support", 3), ("suppos", 8), ("camp", 2), ("camel", 1)]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("musuem", "museum"),
        ("musem", "museum"),
        ("suport", "support"),
        ("musicc", "music"),
        ("cam", None),
        ("x1234", None),
        ("zebra", None),
    ],
)
def test_repairs_slips(slip: str, meant: str | None) -> None:
    """One slip of the finger is undone if a known word is one edit away; short words and codes are left alone."""
    assert repair_term(slip, VOCABULARY) == meant


def test_repair_prefers_the_frequent_word() -> None:
    """Of several words one edit away the most used is meant."""
    assert repair_term("cast", [("cart", 1), ("cost", 5)]) == "cost"
