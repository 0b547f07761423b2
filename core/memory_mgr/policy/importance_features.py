"""What a message looks like from the outside: the numbers the importance model weighs.

All are cheap (about 0.05 ms a message), need no other state than the neighbouring messages and, optionally,
how often words were seen before. Counts enter as log(1 + n) and are capped, so that a long message is worth
more than a short one but a page is not worth more than a paragraph.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from memory_mgr.policy.lexicon import load_words, occurs
from memory_mgr.policy.remembered import WORD_CHARACTERS, remembered

WordFrequency: TypeAlias = Callable[[str], int]
"""In how many earlier entries of the namespace a lower-case word (or its stem) occurred, >= 0."""

_LEXICON = "importance_words"
_MAX_TERMS = 30
"""Terms counted per message: beyond a paragraph, length says nothing more about importance."""

_TERSE_TERMS = 4
"""A statement of at most so many informative words gets little from `substance`."""

_UNKNOWN_NOVELTY = 0.45
"""How new a word counts when its frequency is unknown: the mean of 1 / (1 + frequency) over LoCoMo."""

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE = re.compile(r"[^.!?。！？؟\n]+[.!?。！？؟\"'”’)]*")
_SPEAKER = re.compile(r"^([^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,2}):\s+")
_ATTACHMENT = re.compile(r"!?\[([^\[\]\n]{8,400})\](?:\([^)\s]*\))?\s*$")
_QUESTION_END = re.compile(r"[?？؟][\"'”’)]*\s*$")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_DIGIT = re.compile(r"\d")
_CODE = re.compile(r"\w+@\w+\.\w|https?://|\+?\d[\d ()-]{6,}\d")
_QUOTED = re.compile(r"[\"“«][^\"”»]{2,60}[\"”»]")
_FUNCTION, _SMALL, _EVALUATION, _RELATION, _TIME, _EVENT, _PREFERENCE, _FIRST, _SECOND, _NUMBER = (
    1 << bit for bit in range(10)
)
_UNINFORMATIVE = _FUNCTION | _SMALL | _EVALUATION
_NOBODY: frozenset[str] = frozenset()


@cache
def _flags() -> dict[str, int]:
    """Word -> the lexicon sections it is in, as bits."""
    sections = {
        "function": _FUNCTION,
        "small_talk": _SMALL,
        "evaluation": _EVALUATION,
        "relation": _RELATION,
        "time": _TIME,
        "event": _EVENT,
        "preference": _PREFERENCE,
        "first_person": _FIRST,
        "second_person": _SECOND,
        "number": _NUMBER,
    }
    flags: dict[str, int] = {}
    for section, bit in sections.items():
        for word in load_words(_LEXICON, section):
            flags[word] = flags.get(word, 0) | bit
    return flags


_SUFFIXES = ("ings", "ing", "ies", "ied", "ed", "es", "s", "ly", "er", "y", "e")


@remembered(8192, WORD_CHARACTERS)
def stem(word: str) -> str:
    """A lower-case word without its most common English endings; at least three letters stay."""
    word = word.removesuffix("'s")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


@dataclass(slots=True)
class Reading:
    """What one pass over a message finds.

    Attributes:
        tokens: Number of words.
        flag_counts: Words per lexicon bit.
        words: Every informative word.
        statement_terms: Those outside questions, by their stems.
        own_terms: Those of statements in the first person.
        question_terms: Those of questions.
        names: Capitalised words inside sentences, lower case, the speakers' own names left out.
        attachment_terms: Stems of the described attachment.
        asks: Any sentence is a question.
    """

    tokens: int = 0
    flag_counts: dict[int, int] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    statement_terms: dict[str, str] = field(default_factory=dict)
    own_terms: set[str] = field(default_factory=set)
    question_terms: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    attachment_terms: set[str] = field(default_factory=set)
    asks: bool = False

    def all_terms(self) -> set[str]:
        """Every informative stem."""
        return self.statement_terms.keys() | self.question_terms | self.attachment_terms


def split_speaker(text: str) -> tuple[str | None, str]:
    """`"Ann: hello"` as `("Ann", "hello")`; no speaker, no split."""
    found = _SPEAKER.match(text)
    if found is None or found[1].split()[0].lower() in load_words(_LEXICON, "label"):
        return None, text
    return found[1], text[found.end() :]


def split_attachment(text: str) -> tuple[str, str]:
    """The text and the description of an attachment in brackets at its end (`[shares a photo of ...]`)."""
    found = _ATTACHMENT.search(text) if text.endswith(("]", ")", "] ")) else None
    return (text, "") if found is None else (text[: found.start()], found[1])


def _words(text: str) -> Iterable[str]:
    """Words as written; scripts without spaces are cut into pairs of characters."""
    tokens: list[str] = _TOKEN.findall(text)
    return tokens if text.isascii() else _cut(tokens)


def _cut(tokens: Iterable[str]) -> Iterator[str]:
    for token in tokens:
        if len(token) > 2 and _UNSPACED.match(token):
            yield from (token[i : i + 2] for i in range(0, len(token), 2))
        else:
            yield token


def read(text: str, *, names: frozenset[str] = frozenset()) -> Reading:
    """Reads a message once; what was read lately is remembered, so the reading is not to be changed.

    Args:
        text: Without its speaker.
        names: Lower-case names of the people talking; they are not news to each other.
    """
    reading = _read(text, _NOBODY)
    # Who talks with whom changes from message to message; what was read is the same if it does not name them.
    return reading if names.isdisjoint(reading.words) else _read(text, names)


@remembered(1024)
def _read(text: str, names: frozenset[str]) -> Reading:
    body, attachment = split_attachment(text)
    reading = Reading()
    for match in _SENTENCE.finditer(body):
        _read_sentence(match[0], reading, names)
    if attachment:
        flags, medium = _flags(), load_words(_LEXICON, "medium")
        words = (raw.lower() for raw in _words(attachment))
        reading.attachment_terms = {
            stem(word) for word in words if word not in medium and not flags.get(word, 0) & _FUNCTION
        }
    return reading


def _read_sentence(sentence: str, reading: Reading, names: frozenset[str]) -> None:
    flags = _flags()
    together: dict[int, int] = {}
    terms: dict[str, str] = {}
    seen = 0
    only_small_talk = True
    index = -1
    for index, raw in enumerate(_words(sentence)):
        word = raw.lower().replace("’", "'")
        bits = flags.get(word, 0)
        if bits:
            seen |= bits
            together[bits] = together.get(bits, 0) + 1
        addressed = only_small_talk and index > 0
        only_small_talk = only_small_talk and bits & (_SMALL | _FUNCTION) != 0
        if bits & _UNINFORMATIVE or word in names or (len(word) < 3 and raw.isascii()):
            continue
        capital = raw[0].isupper() and index > 0
        if capital and addressed:  # "Thanks, Ann!" calls somebody, it does not tell about them
            continue
        if capital:
            reading.names.add(word)
        reading.words.add(word)
        terms[stem(word)] = word
    reading.tokens += index + 1
    _count(together, reading.flag_counts)
    if _QUESTION_END.search(sentence):
        reading.asks = True
        reading.question_terms |= terms.keys()
        return
    reading.statement_terms |= terms
    if seen & _FIRST:
        reading.own_terms |= terms.keys()


def _count(together: Mapping[int, int], counts: dict[int, int]) -> None:
    """Add how many words have several bits to the counts of each bit."""
    for bits, number in together.items():
        remaining = bits
        while remaining:
            bit = remaining & -remaining
            counts[bit] = counts.get(bit, 0) + number
            remaining ^= bit


def _log_count(count: float) -> float:
    return math.log1p(min(count, _MAX_TERMS))


def _names_of(*speakers: str | None) -> frozenset[str]:
    """The names and their short forms ("Mel" for "Melanie"), lower case."""
    words = [word for speaker in speakers if speaker for word in speaker.lower().split()]
    return frozenset(word[:length] for word in words for length in {len(word), 2, 3, 4, 5} if length > 1)


def extract(
    text: str,
    *,
    speaker: str | None = None,
    previous: str | None = None,
    previous_speaker: str | None = None,
    following: str | None = None,
    frequency: WordFrequency | None = None,
) -> dict[str, float]:
    """The features of one message by name; what is not known (no `previous`, ...) is left out.

    Args:
        text: The message, with or without a leading "speaker: ".
        speaker: Who says it.
        previous: The message before it in the same conversation.
        previous_speaker: Who said that one.
        following: The message after it, when it is already there.
        frequency: How many earlier entries of the namespace hold a word.
    """
    own_name, body = split_speaker(text)
    before_name, before = split_speaker(previous) if previous else (None, "")
    names = _names_of(speaker, own_name, previous_speaker, before_name)
    reading = read(body, names=names)
    features = _own_features(body, reading)
    if previous:
        features |= _reply_features(before, reading)
    features["novelty"] = _novelty(reading, frequency)
    if following:
        features |= _reception_features(split_speaker(following)[1], reading, names)
    return features


def _novelty(reading: Reading, frequency: WordFrequency | None) -> float:
    words = reading.statement_terms.values()
    if frequency is None:
        return _log_count(_UNKNOWN_NOVELTY * len(words))
    return _log_count(sum(1.0 / (1 + frequency(word)) for word in words))


def _own_features(body: str, reading: Reading) -> dict[str, float]:
    count, lowered = reading.flag_counts.get, body.lower()
    has_digit = _DIGIT.search(body) is not None
    tokens = max(reading.tokens, 1)
    told = bool(reading.statement_terms)  # not only asked
    informative = reading.statement_terms or reading.question_terms or reading.attachment_terms
    return {
        "substance": _log_count(len(reading.statement_terms)),
        "self_disclosure": _log_count(len(reading.own_terms)),
        "names": _log_count(len(reading.names)),
        "numbers": float(has_digit or count(_NUMBER, 0) > 0),
        "time": _log_count(count(_TIME, 0)),
        "relations": _log_count(count(_RELATION, 0)),
        "events": _log_count(count(_EVENT, 0)),
        "preferences": _log_count(count(_PREFERENCE, 0)),
        "attachment": _log_count(len(reading.attachment_terms)),
        "quotation": float(_QUOTED.search(body) is not None),
        "contact": float((has_digit or "@" in body or "://" in body) and _CODE.search(body) is not None),
        "asks": float(reading.asks),
        "addresses_listener": count(_SECOND, 0) / math.sqrt(tokens),
        "evaluation": count(_EVALUATION, 0) / tokens,
        "small_talk": float(not informative),
        "remember": float(occurs(_LEXICON, "remember", lowered)),
        "correction": float(occurs(_LEXICON, "correction", lowered)),
        "terse_fact": _terse_fact(lowered, reading),
        "critical": float(told and occurs(_LEXICON, "critical", lowered)),
        "commitment": float(occurs(_LEXICON, "commitment", lowered)),
    }


def _terse_fact(lowered: str, reading: Reading) -> float:
    """1 for a short statement of the form "my X is Y", "I live in ...": few words, yet worth keeping."""
    short = len(reading.statement_terms) <= _TERSE_TERMS
    return float(short and occurs(_LEXICON, "disclosure", lowered))


def _reply_features(before: str, reading: Reading) -> dict[str, float]:
    asked = "?" in before or "？" in before or "؟" in before
    return {
        "reply": float(asked),
        "answer": _log_count(len(reading.own_terms)) if _QUESTION_END.search(before) else 0.0,
        "after_long": math.log1p(min(before.count(" ") + 1, 120)),
    }


def _reception_features(after: str, reading: Reading, names: frozenset[str]) -> dict[str, float]:
    answer = read(after, names=names)
    return {
        "reaction": float(occurs(_LEXICON, "reaction", after.lower())),
        "follow_up": float(answer.asks),
        "taken_up": _log_count(len(answer.all_terms() & reading.all_terms())),
    }
