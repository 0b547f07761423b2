"""Which entries a newer one has made out of date.

Conservative: without a model only plain statements about attributes with one value ("I live in ...", "my
favourite colour is ..."), ended habits ("I no longer eat meat") and explicit corrections ("it's Tuesday, not Monday")
count, by the same speaker about the same subject. A plan names the older and the newer entry; whether the older
one can be hidden altogether is said by `complete`: an entry that also tells other things should only be linked.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import Field

from memory_mgr.policy.claims import HABIT, Claim, claims, clean_value, habits
from memory_mgr.policy.importance_features import read, split_attachment, split_speaker
from memory_mgr.policy.lexicon import load_patterns
from memory_mgr.policy.remembered import remembered
from memory_mgr.policy.settings import Settings

SupersessionReason: TypeAlias = Literal["changed", "ended", "corrected"]

_WORD = re.compile(r"\w+")
_CORRECTION_CONFIDENCE = 0.8


class SupersessionConfig(Settings):
    """When a newer statement replaces an older one."""

    min_confidence: float = Field(
        default=0.6, ge=0, le=1, description="Least confidence planned: the product of how sure both statements are."
    )
    max_lost_terms: int = Field(
        default=0, ge=0, le=100, description="Informative words of the older entry that may be lost if it is hidden."
    )
    correction_hours: float = Field(
        default=24.0, gt=0, description='How far back "it is X, not Y" reaches for the statement with Y.'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An entry that may state something.

    Attributes:
        id: Unique.
        text: Its content, with or without a leading "speaker: ".
        timestamp: When it was said (aware).
        sequence: Breaks ties of `timestamp`.
        speaker: Who said it, when the text does not tell.
        subject: Whom it is about, when the application knows; only equal ones are compared.
        source: The stream it came from; corrections stay within one.
    """

    id: str
    text: str
    timestamp: datetime
    sequence: int = 0
    speaker: str | None = None
    subject: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supersession:
    """A newer entry makes an older one out of date.

    Attributes:
        old: Id of the older entry.
        new: Id of the newer one.
        reason: The value "changed", the state "ended", or it was "corrected".
        attribute: What it is about ("home", "favourite:colour", "habit:eat", "correction").
        old_value: What the older entry says.
        new_value: What the newer one says; "" if it only ends the older.
        confidence: In [0, 1].
        complete: Nothing else worth keeping is in the older entry: it can be hidden. Else link the two.
    """

    old: str
    new: str
    reason: SupersessionReason
    attribute: str
    old_value: str
    new_value: str
    confidence: float
    complete: bool


@dataclass(frozen=True, slots=True)
class _Made:
    statement: Statement
    claim: Claim


def plan_supersessions(
    statements: Sequence[Statement],
    config: SupersessionConfig | None = None,
    *,
    changed: Collection[str] | None = None,
) -> list[Supersession]:
    """Finds entries that newer ones have made out of date, oldest first.

    Of several values in a row each replaces the one before it. An entry is superseded once at most, by the
    plan with the highest confidence.

    Args:
        statements: The current entries (superseded ones left out), in any order.
        config: Its settings.
        changed: Ids of entries that are new; only plans with one of them are made. None = all.
    """
    config = config or SupersessionConfig()
    ordered = sorted(statements, key=lambda s: (s.timestamp, s.sequence, s.id))
    made = [_Made(statement, claim) for statement in ordered for claim in claims(statement.text)]
    plans = [*_changes(made), *_ended_habits(ordered, made), *_corrections(ordered, config)]
    best: dict[str, Supersession] = {}
    for old, new, replaced, draft in plans:
        if changed is not None and old.id not in changed and new.id not in changed:
            continue
        plan = replace(draft, complete=_is_complete(old, new, replaced, config))
        known = best.get(plan.old)
        if plan.confidence >= config.min_confidence and (known is None or plan.confidence > known.confidence):
            best[plan.old] = plan
    return [best[statement.id] for statement in ordered if statement.id in best]


_Draft: TypeAlias = tuple[Statement, Statement, str, Supersession]
"""Older, newer, the words of the older that are replaced, and the plan."""


def _who(statement: Statement, claim: Claim | None = None) -> tuple[str, str, str]:
    """Speaker, the application's subject, and the subject of the claim: all must agree."""
    speaker = statement.speaker or split_speaker(statement.text)[0] or ""
    own = "" if claim is None else claim.subject
    if own and own == speaker.lower():
        own = ""
    return speaker.lower(), (statement.subject or "").lower(), own


HABITS, CORRECTIONS = "habits", "corrections"
"""Lines of all statements that end a habit, and of all that correct."""


def lines(statement: Statement) -> list[str]:
    """Keys of what a statement claims, ends or corrects; statements that replace each other by a claim share one."""
    own = claims(statement.text)
    keys = [json.dumps([*_who(statement, claim), claim.attribute]) for claim in own]
    ends = [HABITS] if ended_habits(statement) else []
    return [*keys, *ends, *([CORRECTIONS] if corrects(statement) else [])]


def ended_habits(statement: Statement) -> list[str]:
    """The first words of the habits that a statement ends; what it replaces holds one of them."""
    return [claim.value.split()[0] for claim in claims(statement.text) if claim.attribute.startswith(HABIT)]


def corrects(statement: Statement) -> bool:
    """Whether it says that something is not so but otherwise."""
    wrong, value = _correction(statement.text)
    return bool(wrong and value)


def _changes(made: Sequence[_Made]) -> Iterator[_Draft]:
    lines: dict[tuple[str, ...], list[_Made]] = defaultdict(list)
    for item in made:
        if not item.claim.attribute.startswith(HABIT):
            lines[(*_who(item.statement, item.claim), item.claim.attribute)].append(item)
    for line in lines.values():
        for newer_at, newer in enumerate(line):
            for older in reversed(line[:newer_at]):
                if older.claim.kind == "end" or older.statement.id == newer.statement.id:
                    continue
                if _replaces(older.claim, newer.claim):
                    yield _draft(older, newer)
                if not _same_value(older.claim.value, newer.claim.value):
                    break


def _replaces(older: Claim, newer: Claim) -> bool:
    same = _same_value(older.value, newer.value)
    return same if newer.kind == "end" else not same


def _same_value(first: str, second: str) -> bool:
    """One contains the other word by word: "berlin" and "berlin germany" do not contradict."""
    a, b = set(_WORD.findall(first)), set(_WORD.findall(second))
    return a <= b or b <= a


def _draft(older: _Made, newer: _Made) -> _Draft:
    ended = newer.claim.kind == "end"
    plan = Supersession(
        old=older.statement.id,
        new=newer.statement.id,
        reason="ended" if ended else "changed",
        attribute=newer.claim.attribute,
        old_value=older.claim.value,
        new_value="" if ended else newer.claim.value,
        confidence=round(older.claim.strength * newer.claim.strength, 4),
        complete=False,
    )
    return older.statement, newer.statement, older.claim.span, plan


def _ended_habits(ordered: Sequence[Statement], made: Sequence[_Made]) -> Iterator[_Draft]:
    for newer in made:
        if not newer.claim.attribute.startswith(HABIT):
            continue
        words = newer.claim.value.split()
        for statement in ordered:
            if statement.id == newer.statement.id:
                break
            if words[0] not in statement.text.lower():
                continue
            for claim in habits(statement.text):
                older = _Made(statement, claim)
                same_line = (*_who(statement, claim), claim.attribute) == (
                    *_who(newer.statement, newer.claim),
                    newer.claim.attribute,
                )
                if same_line and claim.value.split()[: len(words)] == words:
                    yield _draft(older, newer)


def _corrections(ordered: Sequence[Statement], config: SupersessionConfig) -> Iterator[_Draft]:
    reach = timedelta(hours=config.correction_hours)
    for at, newer in enumerate(ordered):
        wrong, value = _correction(newer.text)
        if not wrong or not value or _same_value(wrong, value):
            continue
        for older in reversed(ordered[:at]):
            if newer.timestamp - older.timestamp > reach:
                break
            same_line = older.source == newer.source and _who(older) == _who(newer)
            if same_line and _holds(older.text, wrong) and not _holds(older.text, value):
                plan = Supersession(
                    old=older.id,
                    new=newer.id,
                    reason="corrected",
                    attribute="correction",
                    old_value=wrong,
                    new_value=value,
                    confidence=_CORRECTION_CONFIDENCE,
                    complete=False,
                )
                yield older, newer, wrong, plan
                break


@remembered(4096)
def _correction(text: str) -> tuple[str, str]:
    """What was wrong and what is right, both "" if the text corrects nothing."""
    body = split_attachment(split_speaker(text)[1])[0].replace("’", "'")
    for pattern in load_patterns("supersession_patterns", "correction"):
        found = None if "?" in body else pattern.search(body)
        if found is not None:
            return clean_value(found["wrong"]), clean_value(found["value"])
    return "", ""


def _holds(text: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE) is not None


def _is_complete(old: Statement, new: Statement, replaced: str, config: SupersessionConfig) -> bool:
    """The newer entry says all that the older one did, but for what it replaces and few other words."""
    lost = _terms(old.text) - _terms(new.text) - _terms(replaced)
    return len(lost) <= config.max_lost_terms


def _terms(text: str) -> set[str]:
    return read(split_speaker(text)[1]).all_terms()
