"""A message as the pieces that a summary picks from: sentences and clauses, without greetings and fillers.

The words of a piece stay as they were said and in their order; only openings that greet or hesitate and words that
merely stress are left out (`data/summary_words.txt`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from memory_mgr.policy.importance_features import split_attachment, stem
from memory_mgr.policy.lexical import words
from memory_mgr.policy.lexicon import load_pattern, load_sections, load_words

_LEXICON, _IMPORTANCE_LEXICON = "summary_words", "importance_words"
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)]*\s+|(?<=[。！？؟])|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_ASKS = re.compile(r"[?？؟][\"'”’)\s]*$")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LEAST_CLAUSE_WORDS = 4
"""A clause with fewer words does not stand by itself. Judged."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a message.

    Attributes:
        text: As it stands by itself; one line.
        following: As it continues the piece before it in the same sentence; "" if it begins one.
        terms: The informative words, stemmed, each once.
        marked: Those of `terms` that are names, numbers or times: what questions ask for.
        asks: It is a question, or part of one.
        place: Its place in the message.
    """

    text: str
    following: str
    terms: frozenset[str]
    marked: frozenset[str]
    asks: bool
    place: int


def short_names(speakers: Iterable[str | None]) -> frozenset[str]:
    """Names and their short forms ("Mel" for "Melanie"), lower case: to address somebody is no news."""
    parts = {part for name in speakers if name for part in name.lower().split()}
    return frozenset(part[:length] for part in parts for length in (3, 4, 5, len(part)) if length <= len(part))


def split_units(text: str, names: frozenset[str] = frozenset()) -> list[Unit]:
    """The pieces of a message that say something, in order.

    Args:
        text: Without its speaker.
        names: From `short_names`.
    """
    found: list[Unit] = []
    for place, (piece, joint, asks) in enumerate(_pieces(text)):
        alone = _standing(piece)
        terms, marked = _terms(alone, names)
        if terms:
            following = joint + _unfilled(piece) if joint else ""
            found.append(Unit(alone, following, terms, marked, asks, place))
    return found


def _pieces(text: str) -> Iterator[tuple[str, str, bool]]:
    """Pieces, what joins each to the one before within a sentence, and whether it asks."""
    body, attachment = split_attachment(text)
    for sentence in _SENTENCE_END.split(body):
        if sentence.strip():
            asks = _ASKS.search(sentence) is not None
            for clause, joint in _clauses(sentence.strip()):
                yield clause, joint, asks
    if attachment:
        yield text[len(body) :].strip(), "", False


def _clauses(sentence: str) -> Iterator[tuple[str, str]]:
    """The parts of a sentence that can stand, and what joined each to the one before."""
    start, before = 0, ""
    for joint in load_pattern(_LEXICON, "joint").finditer(sentence):
        left, right = sentence[start : joint.start()], sentence[joint.end() :]
        if min(len(left.split()), len(right.split())) >= _LEAST_CLAUSE_WORDS:
            yield left, before
            start, before = joint.end(), joint[0]
    yield sentence[start:], before


def _standing(piece: str) -> str:
    """`piece` without its opening, as a sentence of its own."""
    opening = _opening().match(piece)
    rest = _unfilled(piece[opening.end() :] if opening else piece)
    return rest[:1].upper() + rest[1:]


def _unfilled(piece: str) -> str:
    return " ".join(_filler().sub("", piece).split()).rstrip(" !,;")


@cache
def _opening() -> re.Pattern[str]:
    lines = load_sections(_LEXICON)["opening"]
    return re.compile("(?:" + "|".join(f"(?:{line})" for line in lines) + ")+", re.IGNORECASE)


@cache
def _filler() -> re.Pattern[str]:
    listed = "|".join(load_sections(_LEXICON)["filler"])
    return re.compile(rf"\b(?:{listed})\s+(?=\w)", re.IGNORECASE)


@cache
def _idle() -> frozenset[str]:
    """Words that say nothing by themselves."""
    return load_words(_IMPORTANCE_LEXICON, "function") | load_words(_IMPORTANCE_LEXICON, "small_talk")


@cache
def praise_terms() -> frozenset[str]:
    """Stems of words of praise, feeling and encouragement: they do not tell what happened."""
    return frozenset(stem(word) for word in load_words(_IMPORTANCE_LEXICON, "evaluation"))


@cache
def _telling() -> frozenset[str]:
    return load_words(_IMPORTANCE_LEXICON, "time") | load_words(_IMPORTANCE_LEXICON, "number")


def _terms(text: str, names: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The informative words of `text`, stemmed, and those of them that are names, numbers or times."""
    terms: set[str] = set()
    marked: set[str] = set()
    for found in _WORD.finditer(text):
        raw = found[0]
        word = raw.lower().replace("’", "'").removesuffix("'s")
        if word in _idle() or word in names or (len(word) == 1 and word.isascii() and not word.isdigit()):
            continue
        stems = {stem(word)} if word.isascii() else set(words(raw))
        terms |= stems
        if (found.start() and raw[0].isupper()) or raw[0].isdigit() or word in _telling():
            marked |= stems
    return frozenset(terms), frozenset(marked)
