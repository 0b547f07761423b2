"""Which entries say the same and can become one.

Exact duplicates are equal once case, spacing and outer punctuation are set aside. Near duplicates must pass two
tests: their vectors are close, and no word that carries meaning speaks against it. Vectors alone will not do:
"I live in Paris" and "I live in Rome" are closer than many paraphrases. So numbers, names, negations and little
words that turn a statement round must be the same, and of the other words one text may have a few more
but not different ones. What is missed costs a little room; a wrong merge would cost a memory.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from memory_mgr.policy.importance_features import split_speaker
from memory_mgr.policy.lexicon import load_sections, load_words
from memory_mgr.policy.settings import Settings

MergeReason: TypeAlias = Literal["exact", "near"]

_LEXICON = "dedupe_words"
_TOKEN = re.compile(r"[^\W_]+(?:['’.,:/-][^\W_]+)*")
_EDGES = " \t\n\r.,;:!…。！\"'“”‘’()[]"
_CONTRACTED = {"t": "not", "ll": "will"}
_AT_ONCE = 2**25
"""Similarities computed at a time, 128 MB."""


class DedupeConfig(Settings):
    """When two entries count as the same."""

    near: bool = Field(default=True, description="Merge near duplicates too, not only exact ones.")
    min_similarity: float = Field(
        default=0.9, ge=0, le=1, description="Least cosine of near duplicates; MiniLM puts rewordings at .9 and above."
    )
    min_overlap: float = Field(
        default=0.6, gt=0, le=1, description="Least Jaccard overlap of the words that carry meaning."
    )
    same_day_hours: float = Field(
        default=12.0,
        gt=0,
        description='Texts with "yesterday", "next week" are the same only if said this close together.',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry that may be a duplicate.

    Attributes:
        id: Unique.
        text: Its content.
        timestamp: When it was said (aware).
        speaker: Who said it; others' words are never duplicates.
        source: The stream it came from.
        importance: In [0, 1].
        pinned: Preferred as the one to keep.
        derived_from: Ids of entries it was made of.
    """

    id: str
    text: str
    timestamp: datetime
    speaker: str | None = None
    source: str | None = None
    importance: float = 0.5
    pinned: bool = False
    derived_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Entries that become one.

    Attributes:
        keep: The one that stays: the richest.
        drop: Those that go, oldest first.
        reason: "exact" if all are, else "near".
        importance: The highest of all.
        sources: Where it was said, in order of time, each once.
        first_seen: When it was first said.
        last_seen: When it was last said.
        derived_from: All that the entries were made of, and the dropped ones.
        pinned: Any was.
    """

    keep: str
    drop: tuple[str, ...]
    reason: MergeReason
    importance: float
    sources: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    derived_from: tuple[str, ...]
    pinned: bool


def normalized(text: str) -> str:
    """The text without what does not matter to its meaning: case, spacing, width, outer punctuation.

    A question mark matters and stays.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)


def fingerprint(text: str, speaker: str | None = None) -> str:
    """A key (32 hex digits) that exact duplicates share."""
    return hashlib.sha256(f"{speaker or ''}\0{normalized(text)}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Words:
    content: frozenset[str]
    order: tuple[str, ...]
    strict: frozenset[str]
    names: frozenset[str]
    asks: bool
    relative: bool


@cache
def _synonyms() -> dict[str, str]:
    return {word: line.split()[0] for line in load_sections(_LEXICON)["synonyms"] for word in line.split()}


def _words(text: str) -> _Words:
    """Splits a text into words that must be equal (`strict`) and words of which one text may have more."""
    body = split_speaker(unicodedata.normalize("NFKC", text))[1]
    modifiers, synonyms = load_words(_LEXICON, "modifier"), _synonyms()
    function = load_words("importance_words", "function") | load_words("importance_words", "small_talk")
    relations = load_words("importance_words", "relation")
    strict: set[str] = set()
    names: set[str] = set()
    order: list[str] = []
    for position, raw in enumerate(_TOKEN.findall(body)):
        word = raw.casefold().replace("’", "'")
        word, _, ending = word.partition("'")
        if word == "cannot":
            word, ending = "can", "t"
        if ending in _CONTRACTED:
            strict.add(_CONTRACTED[ending])
        word = synonyms.get(word, word)
        if word in modifiers or word in relations or any(c.isdigit() for c in word):
            strict.add(word)
        elif position > 0 and raw[0].isupper():
            names.add(word)
        if word not in function:
            order.append(word)
    relative = any(word in load_words(_LEXICON, "relative_time") for word in normalized(body).split())
    asks = "?" in body or "？" in body
    return _Words(frozenset(order), tuple(order), frozenset(strict), frozenset(names), asks, relative)


def same_meaning(first: str, second: str, config: DedupeConfig | None = None) -> bool:
    """No word speaks against two texts (that are alike in meaning) saying the same.

    Symmetric. Numbers, names, relations, negations and other modifiers must be equal; of the other words one
    text must have all that the other has, in the same order, and not many more.
    """
    config = config or DedupeConfig()
    a, b = _words(first), _words(second)
    if a.asks != b.asks or a.strict != b.strict or not a.content or not b.content:
        return False
    shared = a.content & b.content
    if not shared >= a.names | b.names:
        return False
    if shared not in (a.content, b.content):
        return False
    if len(shared) < config.min_overlap * len(a.content | b.content):
        return False
    return [w for w in a.order if w in shared] == [w for w in b.order if w in shared]


def plan_merges(
    records: Sequence[Record],
    vectors: NDArray[np.float32] | None = None,
    config: DedupeConfig | None = None,
    *,
    changed: Collection[str] | None = None,
) -> list[Merge]:
    """Finds duplicates and says what each group becomes.

    Every member of a group is a duplicate of the one that is kept (no chains). A plan carried out leaves nothing
    to plan. Comparing all of n records takes n^2 / 2 cosines; pass `changed` to compare only what is new.

    Args:
        records: The entries, in any order.
        vectors: Their unit vectors, shape (len(records), dimensions); None = exact duplicates only.
        config: Its settings.
        changed: Ids to look for duplicates of; None = all.

    Raises:
        ValueError: `vectors` has another number of rows than there are records.
    """
    config = config or DedupeConfig()
    if vectors is not None and len(vectors) != len(records):
        raise ValueError(f"one vector a record, please: {len(records)} records but {len(vectors)} vectors")
    fresh = set(range(len(records))) if changed is None else {i for i, r in enumerate(records) if r.id in changed}
    exact = _exact_pairs(records, fresh, config)
    near = _near_pairs(records, vectors, fresh, config) if vectors is not None and config.near else set()
    partners: dict[int, set[int]] = defaultdict(set)
    for a, b in exact | near:
        partners[a].add(b)
        partners[b].add(a)
    merges: list[Merge] = []
    taken: set[int] = set()
    for keeper in sorted(partners, key=lambda i: _richness(records[i]), reverse=True):
        if keeper in taken:
            continue
        others = sorted(partners[keeper] - taken, key=lambda i: (records[i].timestamp, records[i].id))
        if others:
            taken |= {keeper, *others}
            all_exact = all((min(keeper, i), max(keeper, i)) in exact for i in others)
            merges.append(_merge(records[keeper], [records[i] for i in others], "exact" if all_exact else "near"))
    return merges


def _richness(record: Record) -> tuple[bool, int, int, datetime, str]:
    """Pinned before others, then most words, then longest, then latest."""
    return record.pinned, len(_words(record.text).content), len(record.text), record.timestamp, record.id


def _comparable(a: Record, b: Record, config: DedupeConfig) -> bool:
    if (a.speaker or "").casefold() != (b.speaker or "").casefold():
        return False
    if split_speaker(a.text)[0] != split_speaker(b.text)[0]:
        return False
    close = abs(a.timestamp - b.timestamp) <= timedelta(hours=config.same_day_hours)
    return close or not (_words(a.text).relative or _words(b.text).relative)


def _exact_pairs(records: Sequence[Record], fresh: set[int], config: DedupeConfig) -> set[tuple[int, int]]:
    """Pairs of each duplicate with the richest of its group (not of all with all: a group may be large)."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        groups[fingerprint(record.text, (record.speaker or "").casefold())].append(i)
    pairs: set[tuple[int, int]] = set()
    for group in groups.values():
        if len(group) < 2 or fresh.isdisjoint(group):
            continue
        heads: list[int] = []
        for i in sorted(group, key=lambda i: _richness(records[i]), reverse=True):
            head = next((h for h in heads if _comparable(records[h], records[i], config)), None)
            if head is None:
                heads.append(i)
            else:
                pairs.add((min(head, i), max(head, i)))
    return pairs


def _near_pairs(
    records: Sequence[Record], vectors: NDArray[np.float32], fresh: set[int], config: DedupeConfig
) -> set[tuple[int, int]]:
    return {
        (a, b)
        for a, b in _close_pairs(vectors, sorted(fresh), config.min_similarity)
        if _comparable(records[a], records[b], config) and same_meaning(records[a].text, records[b].text, config)
    }


def _close_pairs(vectors: NDArray[np.float32], rows: Sequence[int], least: float) -> Iterator[tuple[int, int]]:
    """Pairs (a < b) of which one is in `rows`, with a cosine of `least` or more."""
    step = max(1, _AT_ONCE // max(1, len(vectors)))
    for start in range(0, len(rows), step):
        block = np.asarray(rows[start : start + step])
        for row, other in np.argwhere(vectors[block] @ vectors.T >= least).tolist():
            here = int(block[row])
            if here != other:
                yield min(here, other), max(here, other)


def _merge(keeper: Record, others: Sequence[Record], reason: MergeReason) -> Merge:
    everyone = sorted([keeper, *others], key=lambda r: (r.timestamp, r.id))
    origins = [*keeper.derived_from, *(o for other in others for o in (*other.derived_from, other.id))]
    return Merge(
        keep=keeper.id,
        drop=tuple(other.id for other in others),
        reason=reason,
        importance=max(record.importance for record in everyone),
        sources=tuple(dict.fromkeys(record.source for record in everyone if record.source is not None)),
        first_seen=everyone[0].timestamp,
        last_seen=everyone[-1].timestamp,
        derived_from=tuple(dict.fromkeys(origin for origin in origins if origin != keeper.id)),
        pinned=any(record.pinned for record in everyone),
    )
