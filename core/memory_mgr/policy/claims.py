"""Statements about attributes that have one value at a time, read from text by patterns.

"I live in Paris" is a claim: subject the speaker, attribute home, value Paris. Only plain statements count: no
questions, wishes, plans, memories of long ago. The patterns are in `data/supersession_patterns.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias, cast

from memory_mgr.policy.importance_features import split_attachment, split_speaker
from memory_mgr.policy.lexicon import load_pattern, load_sections, load_words
from memory_mgr.policy.remembered import remembered

ClaimKind: TypeAlias = Literal["state", "change", "end"]

HABIT = "habit"
"""The attribute that many values can have at once: claims of it only ever end."""

_DATA = "supersession_patterns"
_NOT_ATTRIBUTES = frozenset({"trigger", "hedge", "value_end", "correction"})
_SENTENCE = re.compile(r"[^.!?\n]+(?:\.(?=\w)[^.!?\n]+)*[.!?]*")
_CLITIC = re.compile(r"(?<=\w)'(m|re|s|ve|ll|d)\b", re.IGNORECASE)
_SELF = frozenset({"i", "we", "my", "our", "user", "the user", "user 's", "the user 's"})
_VERB_ENDINGS = re.compile(r"(?:ing|es|s|e)$")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sentence says about an attribute.

    Attributes:
        subject: "" for the speaker, else whose attribute it is, lower case ("anna", "my sister").
        attribute: Section of the patterns, with the slot if there is one ("favourite:colour").
        value: What it is now, normalised; of an ended one, what it was.
        kind: Is so, has become so, or is so no longer.
        strength: How sure the pattern is, in [0, 1].
        span: The words of the text that say it.
    """

    subject: str
    attribute: str
    value: str
    kind: ClaimKind
    strength: float
    span: str


@dataclass(frozen=True, slots=True)
class _Rule:
    attribute: str
    kind: ClaimKind
    strength: float
    pattern: re.Pattern[str]


@cache
def _placeholders() -> dict[str, str]:
    relations = "|".join(sorted(load_words("importance_words", "relation")))
    name = r"(?-i:[A-Z])[\w’'-]*"
    return {
        "{S}": rf"\b(?P<subject>i|we|(?:the )?user|my (?:{relations})|(?-i:[A-Z][a-z]+))",
        "{P}": rf"\b(?P<subject>my|our|(?:the )?user 's|my (?:{relations}) 's|(?-i:[A-Z][a-z]+) 's)",
        "{NAME}": rf"(?P<value>(?:the )?{name}(?:,? {name}){{0,3}})",
        "{TEXT}": r"(?P<value>(?:[^.!?\n]|\.(?=\w)){1,60})",
    }


@cache
def _rules(habits: bool) -> tuple[_Rule, ...]:
    rules = []
    for attribute, lines in load_sections(_DATA).items():
        if attribute in _NOT_ATTRIBUTES:
            continue
        for line in lines:
            strength, kind, source = line.split(None, 2)
            if (attribute == HABIT and kind == "state") == habits:
                for name, expansion in _placeholders().items():
                    source = source.replace(name, expansion)
                compiled = re.compile(source, re.IGNORECASE)
                rules.append(_Rule(attribute, cast("ClaimKind", kind), float(strength), compiled))
    return tuple(rules)


def plain_sentences(text: str) -> Iterator[str]:
    """The sentences of a message that state something: no questions, no wishes, plans or distant memories.

    Clitics are set off ("I 'm"), as the patterns expect.
    """
    body = split_attachment(split_speaker(text)[1])[0].replace("’", "'")
    hedge = load_pattern(_DATA, "hedge")
    for match in _SENTENCE.finditer(body):
        sentence = _CLITIC.sub(r" '\1", match[0])
        if not sentence.rstrip().endswith("?") and hedge.search(sentence) is None:
            yield sentence


@remembered(4096)
def claims(text: str) -> tuple[Claim, ...]:
    """What a message says about single-valued attributes, and which habits have ended."""
    trigger = load_pattern(_DATA, "trigger")
    if trigger.search(text) is None:
        return ()
    return tuple(
        claim
        for sentence in plain_sentences(text)
        if trigger.search(sentence)
        for claim in _claims_of(sentence, _rules(habits=False))
    )


def habits(text: str) -> list[Claim]:
    """The habits a message mentions ("I eat meat"); only worth looking for when one has ended."""
    return [claim for sentence in plain_sentences(text) for claim in _claims_of(sentence, _rules(habits=True))]


def _claims_of(sentence: str, rules: tuple[_Rule, ...]) -> Iterator[Claim]:
    for rule in rules:
        for found in rule.pattern.finditer(sentence):
            subject = _subject(found["subject"])
            value = clean_value(found["value"])
            if subject is None or not value:
                continue
            slot = found.groupdict().get("slot")
            attribute = rule.attribute if slot is None else f"{rule.attribute}:{_slot(rule.attribute, slot)}"
            yield Claim(subject, attribute, value, rule.kind, rule.strength, found[0])


def _subject(raw: str) -> str | None:
    """Whose attribute it is: empty for the speaker, None if the word names nobody."""
    word = raw.lower()
    if word in _SELF:
        return ""
    word = word.removesuffix(" 's")
    known = load_words("importance_words", "function") | load_words("importance_words", "small_talk")
    return None if word in known else word


def _slot(attribute: str, raw: str) -> str:
    word = " ".join(raw.lower().replace("-", "").split()).replace("color", "colour")
    return _VERB_ENDINGS.sub("", word) if attribute == HABIT else word


def clean_value(raw: str) -> str:
    """A value without what only says more about it ("berlin" of "Berlin with my cat"), in lower case."""
    found = load_pattern(_DATA, "value_end").search(raw)
    value = raw[: found.start()] if found else raw
    words = value.lower().strip(" .,;:!?\"'“”()").split()
    while words and words[0] in {"the", "a", "an", "my", "our", "now", "definitely", "probably"}:
        words.pop(0)
    return " ".join(words[:6])
