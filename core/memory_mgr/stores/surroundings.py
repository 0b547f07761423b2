"""What the catalog knows about a text that is about to be stored: what was said before it, how new its words are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from memory_mgr.policy.lexical import index_text
from memory_mgr.policy.remembered import WORD_CHARACTERS, remembered
from memory_mgr.stores.catalog import Catalog
from memory_mgr.types import MemoryType

_SEEN_OFTEN = 10
"""Entries counted for a word at most: beyond, it is no news, and counting on would cost time in large namespaces."""
_REMEMBERED = 20_000
"""Words of which it is remembered that they were seen so often; they are not counted again."""


class Before(NamedTuple):
    """The entry before."""

    content: str
    speaker: str | None


def said_before(catalog: Catalog, tier: MemoryType, source: str, moment: datetime, within: timedelta) -> Before | None:
    """The last entry of a stream up to `moment`, if it is not longer ago than `within`."""
    rows = catalog.all_rows(
        "SELECT content, speaker FROM entries WHERE tier = ? AND source = ? AND ts BETWEEN ? AND ? AND whole IS NULL"
        " ORDER BY ts DESC, seq DESC LIMIT 1",
        (tier.value, source, (moment - within).timestamp(), moment.timestamp()),
    )
    return Before(*rows[0]) if rows else None


def occurrences(catalog: Catalog, words: Iterable[str]) -> dict[str, int]:
    """In how many entries each word occurs, counted up to 10."""
    wanted, often = set(words), catalog.seen_often
    asked = {word: query for word in wanted - often if (query := _query(word))}
    rows = catalog.all_rows(
        "SELECT key, (SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH value LIMIT ?)) FROM json_each(?)",
        (_SEEN_OFTEN, json.dumps(asked)),
    )
    often.update(word for word, count in rows if count >= _SEEN_OFTEN and len(often) < _REMEMBERED)
    return dict.fromkeys(wanted & often, _SEEN_OFTEN) | dict(rows)


@remembered(8192, WORD_CHARACTERS)
def _query(word: str) -> str:
    """What finds the entries that hold a word; "" if there is nothing to find."""
    terms = index_text(word).replace('"', " ").strip()
    return f'own : "{terms}"' if terms else ""
