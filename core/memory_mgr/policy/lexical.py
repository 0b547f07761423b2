"""Text as words: what is indexed, and how a question becomes a safe full-text query.

SQLite's FTS5 does the matching. Its unicode61 tokenizer knows word boundaries by character class only, so
scripts that write without spaces are cut into overlapping pairs of characters first, the usual n-gram
indexing of CJK text (Manning, Raghavan, Schütze: Introduction to Information Retrieval, 2.2.1). Text and
query go through the same `index_text`, so whatever it does, both sides agree.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache

from memory_mgr.policy.lexicon import load_sections, load_words
from memory_mgr.policy.recall_config import RecallConfig

FTS_COLUMNS = ("own", "near", "far")
"""Columns of the full-text table: an entry's own words, those said just before, those further back."""

FTS_TOKENIZER = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
"""Vowel signs (Mn, Mc) are kept inside words, else Hindi and Thai words fall apart."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\W_]", re.UNICODE)
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U00020000-\U0003134f"
    "]+"
)
_POINTS = re.compile("[\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]")
"""Hebrew and Arabic vowel points and the tatweel, mostly left out in writing."""

_MAX_ENTRY_WORDS = 80
"""Words of one preceding entry that go into the context of the next: of a long answer, its end."""

_SHORT_CHARACTERS = 500
"""Texts up to this length are remembered with their words."""

_MAX_ENTRY_CHARACTERS = 40 * _MAX_ENTRY_WORDS
"""Only so much of its end is cut into words at all."""


@dataclass(frozen=True, slots=True)
class Said:
    """An entry that came before.

    Attributes:
        text: What is indexed of it, speaker included.
        timestamp: When it was said.
    """

    text: str
    timestamp: datetime


def index_text(text: str) -> str:
    """`text` as it goes into a full-text column: folded, irregular forms regular, CJK in pairs."""
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of `text` in order, as they are indexed, before stemming."""
    return list(_short_words(text)) if len(text) <= _SHORT_CHARACTERS else _words(text)


@lru_cache(maxsize=4096)
def _short_words(text: str) -> tuple[str, ...]:
    """Asked for twice, by an entry itself and by those that follow it."""
    return tuple(_words(text))


def _words(text: str) -> list[str]:
    if text.isascii():
        folded = text.lower()
    else:
        folded = _POINTS.sub("", unicodedata.normalize("NFKC", text).casefold())
        folded = _UNSPACED.sub(_pairs, folded)
    irregular = _irregular()
    return [irregular.get(word, word) for word in _split(folded)]


def _split(folded: str) -> list[str]:
    """Words by the tokenizer's own rule: letters, digits and the marks on them."""
    if folded.isascii():
        return re.findall(r"[a-z0-9]+", folded)
    return "".join(c if _is_word(c) else " " for c in folded).split()


@cache
def _is_word(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category in {"Mn", "Mc", "Co"}


def _pairs(run: re.Match[str]) -> str:
    text = run.group()
    if len(text) == 1:
        return f" {text} "
    return " " + " ".join(text[i : i + 2] for i in range(len(text) - 1)) + " "


@cache
def _irregular() -> dict[str, str]:
    table: dict[str, str] = {}
    for line in load_sections("recall_words")["irregular"]:
        regular, *forms = line.split()
        table.update(dict.fromkeys(forms, regular))
    return table


@cache
def lexicon_digest() -> str:
    """Differs whenever `words` may make other words of the same text because its table changed."""
    return hashlib.sha256(repr(sorted(_irregular().items())).encode()).hexdigest()[:16]


def stop_words() -> frozenset[str]:
    """Words that say nothing about what a query is after."""
    return load_words("recall_words", "stop")


def context_columns(
    previous: Sequence[Said], timestamp: datetime, config: RecallConfig | None = None
) -> tuple[str, str]:
    """The near and far columns of an entry said at `timestamp`.

    Distance is counted in words, not messages, so that ten short messages reach as far back as one long one.
    A pause ends the context.

    Args:
        previous: Entries of the same source and tier that came before, nearest first.
        timestamp: When the entry itself was said.
        config: Reach of the context; default settings if None.
    """
    settings = config or RecallConfig()
    gap = timedelta(hours=settings.context_gap_hours)
    near: list[str] = []
    far: list[str] = []
    distance, later = 0, timestamp
    for said in previous[: settings.context_entries]:
        if distance >= settings.far_words or abs(later - said.timestamp) > gap:
            break
        spoken, count = _spoken(said.text[-_MAX_ENTRY_CHARACTERS:])
        (near if distance < settings.near_words else far).append(spoken)
        distance, later = distance + max(1, count), said.timestamp
    return " ".join(near), " ".join(far)


@lru_cache(maxsize=2048)
def _spoken(text: str) -> tuple[str, int]:
    """The last words of an entry, and how many it has; asked again for each of the entries that follow it."""
    spoken = words(text)
    return " ".join(spoken[-_MAX_ENTRY_WORDS:]), len(spoken)


def query_terms(text: str) -> tuple[str, ...]:
    """The distinct words of a query worth looking up, in order; all of them if all are stop words."""
    stop = stop_words()
    folded = index_text(text).split()
    raw = words(re.sub(r"(?<=\w)['’](?=\w)", "", text)) if "'" in text or "’" in text else folded
    everything = tuple(dict.fromkeys(folded or raw))
    return tuple(word for word in everything if word not in stop) or everything


def select_terms(terms: Sequence[str], frequency: Mapping[str, int], budget: int) -> tuple[str, ...]:
    """The rarest terms whose postings together stay within `budget`; always at least the rarest.

    Full-text search is linear in postings. On the LoCoMo development half a budget of a quarter of the entries costs
    .014 of R@10, one of two fifths .005; namespaces of up to `posting_floor` entries are searched by all their words.

    Args:
        terms: Query terms.
        frequency: Entries that contain a term; a missing or zero term is unknown and costs nothing.
        budget: Postings that may be read; >= 1.
    """
    chosen: list[str] = []
    spent = 0
    for term in sorted(dict.fromkeys(terms), key=lambda t: frequency.get(t, 0)):
        spent += frequency.get(term, 0)
        if spent > budget and any(frequency.get(t, 0) for t in chosen):
            break
        chosen.append(term)
    return tuple(term for term in dict.fromkeys(terms) if term in set(chosen))


def needed_terms(terms: Sequence[str], frequency: Mapping[str, int], enough: int) -> tuple[str, ...]:
    """The rarest terms that together occur `enough` times: what holds none of them will not be among the best.

    The terms left over still count where they stand beside one of these (MaxScore, Turtle and Flood 1995, with a
    number of matches in place of their bound).

    Args:
        terms: Query terms.
        frequency: Entries that contain a term; a missing or zero term is unknown.
        enough: Matches from which on the best are thought to be among them; >= 1.
    """
    needed: list[str] = []
    matches = 0
    for term in sorted(dict.fromkeys(terms), key=lambda t: frequency.get(t, 0)):
        if matches >= enough:
            break
        needed.append(term)
        matches += frequency.get(term, 0)
    return tuple(needed)


def match_expression(terms: Iterable[str]) -> str:
    """An FTS5 expression that matches any of `terms`; empty if there is nothing to look up.

    Every term is a quoted string, so operators, column filters and stars in it are plain text.
    """
    cleaned = (word for term in terms for word in _split(term.lower()))
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(cleaned))


def repair_term(term: str, vocabulary: Iterable[tuple[str, int]]) -> str | None:
    """The known word that `term` is most likely a slip of: one edit away, the most frequent; None if none is.

    Most spelling errors are one insertion, deletion, substitution or transposition (Damerau 1964).

    Args:
        term: A (stemmed) word that the index does not have.
        vocabulary: Known (stemmed) words with their frequency.
    """
    if len(term) < 4 or not term.isalpha():
        return None
    close = [(count, word) for word, count in vocabulary if word != term and _one_edit(term, word)]
    return max(close)[1] if close else None


def _one_edit(a: str, b: str) -> bool:
    """Whether one edit (insert, delete, substitute, swap neighbours) turns `a` into `b`."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    x, y = a[start:], b[start:]
    if len(a) == len(b):
        return x[1:] == y[1:] or (x[:2] == y[:2][::-1] and x[2:] == y[2:])
    return x[1:] == y if len(a) > len(b) else x == y[1:]
