"""Which entries new ones have to be compared with to see what is out of date."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from memory_mgr.engine.plans import statement
from memory_mgr.policy.supersession import (
    CORRECTIONS,
    HABITS,
    Statement,
    SupersessionConfig,
    corrects,
    ended_habits,
    lines,
)
from memory_mgr.stores.statements import Statements
from memory_mgr.types import MemoryEntry


def comparable(statements: Statements, new: Collection[MemoryEntry], config: SupersessionConfig) -> set[str]:
    """Ids of what new entries may replace or be replaced by; the new ones are noted for those that come later.

    Their number does not grow with that of the entries there are.
    """
    told = [statement(entry) for entry in new]
    keys = [lines(one) for one in told]
    statements.note((line, entry) for entry, own in zip(new, keys, strict=True) for line in own)
    found: set[str] = set()
    for one, own in zip(told, keys, strict=True):
        for line in set(own) - {HABITS, CORRECTIONS}:
            found.update(statements.near(line, one.timestamp))
        found |= _by_words(statements, one, timedelta(hours=config.correction_hours))
    found |= _told_later(statements, told, timedelta(hours=config.correction_hours))
    return found


def _by_words(statements: Statements, one: Statement, reach: timedelta) -> set[str]:
    """What a statement replaces because of a word in it: habits it ends, what it corrects."""
    found = {memory_id for word in ended_habits(one) for memory_id in statements.holding(word)}
    if corrects(one):
        found.update(statements.before(one.source, one.timestamp, reach))
    return found


def _told_later(statements: Statements, told: Collection[Statement], reach: timedelta) -> set[str]:
    """What was known before and yet was said after what is new: it may end a habit or correct."""
    found: set[str] = set()
    for moment in {one.timestamp.replace(minute=0, second=0, microsecond=0) for one in told}:
        found.update(statements.following(CORRECTIONS, moment, reach + timedelta(hours=1)))
    for correction in statements.by_ids(found):  # It may be about something else that was said before it.
        found.update(statements.before(correction.source, correction.timestamp, reach))
    if told:
        found.update(statements.following(HABITS, min(one.timestamp for one in told)))
    return found
