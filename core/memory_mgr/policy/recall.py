"""The order in which memories answer a query.

One pure function, `rank`, sums evidence. Each kind of evidence lies in [0, 1], its weight is a setting
(`RecallConfig`), and the contribution of each is reported, so that a user sees why a memory came up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from memory_mgr.policy import cues
from memory_mgr.policy.fusion import Floats, dense_scale, lexical_scale
from memory_mgr.policy.lexical import words
from memory_mgr.policy.neighbourhood import Neighbourhood, Place
from memory_mgr.policy.query import Query
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.policy.time_expressions import time_fit

_ALONE_SUBSTANCE = 0.8
"""Substance of an entry outside any conversation: a fact is short because it says one thing."""

_ALONE_NEIGHBOUR = 0.5
"""Share of its own match that such an entry gets for the neighbours it cannot have."""

_REPEATED = 0.5
"""What is left of the score of an entry whose words were all said by a better one."""


class Item(NamedTuple):
    """One entry of the pool that is ranked.

    Attributes:
        id: Of the entry or passage.
        content: Verbatim; may name its speaker in front.
        timestamp: When it was said, in epoch seconds.
        tier: Which memory it is in.
        source: The stream it came from.
        speaker: Who said it; None = what `content` says.
        dense: Cosine to the query, in [-1, 1].
        lexical: bm25, bigger is better; 0 = not among the lexical candidates.
        previous_id: The entry before it in the same source and tier; need not be in the pool.
        next_id: The entry after it.
        importance: In [0, 1].
        recalled: When it was last a result, in epoch seconds, None = never.
        parent: The entry that a passage is part of; None = it is whole.
        hit: Found by itself, not only as a neighbour.
        eligible: May be returned; False = serves as context only.
    """

    id: str
    content: str
    timestamp: float
    tier: str = "long_term"
    source: str | None = None
    speaker: str | None = None
    dense: float = 0.0
    lexical: float = 0.0
    previous_id: str | None = None
    next_id: str | None = None
    importance: float = 0.5
    recalled: float | None = None
    parent: str | None = None
    hit: bool = True
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class Ranked:
    """A result.

    Attributes:
        id: Of the whole entry.
        score: In [0, 1]; comparable within one query.
        parts: What each kind of evidence contributed; they sum to `score` unless it was capped.
        passage: The passage that matched best, if the entry is ranked by passages.
    """

    id: str
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    passage: str | None = None


def rank(
    query: Query, items: Sequence[Item], config: RecallConfig | None = None, *, now: datetime, limit: int
) -> list[Ranked]:
    """The best `limit` of `items`, best first; ties go to the newer, then to the lesser id.

    Args:
        query: From `query.analyse`.
        items: Candidates from words and embeddings, and the entries right beside them; ids are unique.
        config: Weights; default settings if None.
        now: For recency (aware).
        limit: >= 0.
    """
    if not items or limit <= 0:
        return []
    settings = config or RecallConfig()
    parts = _evidence(query, items, settings, now)
    scale = 1.0 / max(sum(_weights(settings).values()), 1e-9)
    contributions = {name: values * scale for name, values in parts.items()}
    totals = np.clip(np.sum(list(contributions.values()), axis=0), 0.0, 1.0)
    order = _order(totals, items)
    if not any(item.parent for item in items):
        order = _without_repeats(order, totals, items, limit)
    return _best_passages(order, items, totals, contributions, limit)


def _weights(config: RecallConfig) -> dict[str, float]:
    return {
        "lexical": config.lexical_weight,
        "dense": config.dense_weight,
        "neighbour": config.neighbour_weight + config.utterance_weight,
        "session": config.session_weight,
        "answer": config.answer_weight,
        "time": config.time_weight,
        "cue": config.cue_weight,
        "speaker": config.speaker_weight,
        "substance": config.substance_weight,
        "statement": config.statement_weight,
        "importance": config.importance_weight,
        "recency": config.recency_weight,
    }


def _evidence(query: Query, items: Sequence[Item], config: RecallConfig, now: datetime) -> dict[str, Floats]:
    """The weighted contribution of each kind of evidence to each item."""
    lexical = lexical_scale(np.array([i.lexical for i in items], np.float64), config.lexical_floor)
    dense = dense_scale(np.array([i.dense for i in items], np.float64), config.dense_span)
    speakers = [item.speaker or cues.speaker_of(item.content) for item in items]
    around = _neighbourhood(items, speakers, config)
    match = _match(lexical, dense, config)
    asks = np.array([cues.is_question(item.content) for item in items], bool)
    weights = _weights(config)
    beside = np.where(around.alone, _ALONE_NEIGHBOUR * match, around.best_beside(match))
    utterance = around.best_of_utterance(match)
    substance = cues.substances([item.content for item in items])
    return {
        "lexical": weights["lexical"] * lexical,
        "dense": weights["dense"] * dense,
        "neighbour": config.neighbour_weight * beside + config.utterance_weight * utterance,
        "session": weights["session"] * around.session_worth() * around.session_scores(match, config.session_best),
        "answer": weights["answer"] * around.question_before(lexical, asks),
        "time": weights["time"] * _times(query, items),
        "cue": weights["cue"] * _cues(query, items),
        "speaker": weights["speaker"] * _named_speaker(query, speakers),
        "substance": weights["substance"] * np.where(around.alone, _ALONE_SUBSTANCE, substance),
        "statement": weights["statement"] * ~asks,
        "importance": weights["importance"] * np.clip([item.importance for item in items], 0.0, 1.0),
        "recency": weights["recency"] * recency(items, now, config),
    }


def _match(lexical: Floats, dense: Floats, config: RecallConfig) -> Floats:
    """Words and meaning together, in [0, 1]: what entries lend to each other."""
    share = config.lexical_weight + config.dense_weight
    return lexical if share == 0 else 0.6 * lexical + 0.4 * dense


def _neighbourhood(items: Sequence[Item], speakers: Sequence[str | None], config: RecallConfig) -> Neighbourhood:
    places = [
        Place(i.id, None if i.source is None else (i.source, i.tier), i.timestamp, speaker, i.previous_id, i.next_id)
        for i, speaker in zip(items, speakers, strict=True)
    ]
    return Neighbourhood(places, config.context_gap_hours * 3600)


def _times(query: Query, items: Sequence[Item]) -> Floats:
    if not query.times:
        return np.zeros(len(items))
    return np.array([time_fit(query.times, datetime.fromtimestamp(i.timestamp, UTC)) for i in items], np.float64)


def _cues(query: Query, items: Sequence[Item]) -> Floats:
    """Whether an item tells the kind of thing the query asks for: a time, an amount."""
    told = np.zeros(len(items), bool)
    if query.asks_when:
        told |= [cues.tells_time(item.content) for item in items]
    if query.asks_number:
        told |= [cues.tells_number(item.content) for item in items]
    return told.astype(np.float64)


def _named_speaker(query: Query, speakers: Sequence[str | None]) -> Floats:
    """1 for what was said by the one speaker that the query names; all 0 if it names none or several."""
    asked = set(query.terms)
    named = {s for s in set(speakers) if s and asked & {w for w in words(s) if len(w) > 1}}
    if len(named) != 1:
        return np.zeros(len(speakers))
    return np.array([float(s in named) for s in speakers])


def recency(items: Sequence[Item], now: datetime, config: RecallConfig) -> Floats:
    """How recent each item is, in (0, 1]: halved with every half-life of its tier, as in memweave.

    Being recalled makes it young again, by `recall_renews` of its age (Generative Agents, Park et al. 2023, count
    from the last access alone).
    """
    half_lives = np.array([config.half_life_days.get(item.tier, 90.0) for item in items])
    said = np.array([item.timestamp for item in items])
    recalled = np.array([item.timestamp if item.recalled is None else item.recalled for item in items])
    age, since = (np.maximum(0.0, (now.timestamp() - moments) / 86400) for moments in (said, recalled))
    age -= config.recall_renews * np.maximum(0.0, age - since)
    recent: Floats = 2.0 ** -np.minimum(age / half_lives, 1000.0)
    return recent


def _order(totals: Floats, items: Sequence[Item]) -> list[int]:
    """Positions of the eligible items, best first."""
    eligible = [i for i, item in enumerate(items) if item.eligible]
    # By id first, then by a stable sort, because numpy sorts numbers faster than Python sorts tuples.
    by_id = np.array(sorted(eligible, key=lambda i: items[i].id), np.int64)
    times = np.array([items[i].timestamp for i in by_id.tolist()])
    ordered: list[int] = by_id[np.lexsort((-times, -totals[by_id]))].tolist()
    return ordered


def _without_repeats(order: Sequence[int], totals: Floats, items: Sequence[Item], limit: int) -> list[int]:
    """`order` with entries that repeat a better one word for word put back; recall is for different things.

    `totals` is lowered in place for those. Only the front that can reach the result is looked at.
    """
    front = list(order[: 4 * limit + 20])
    seen: set[tuple[str, ...]] = set()
    repeated = []
    for i in front:
        said = tuple(items[i].content.casefold().split())
        if said in seen:
            repeated.append(i)
        seen.add(said)
    if not repeated:
        return front
    totals[repeated] *= _REPEATED
    return sorted(front, key=lambda i: (-totals[i], -items[i].timestamp, items[i].id))


def _best_passages(
    order: Sequence[int], items: Sequence[Item], totals: Floats, parts: Mapping[str, Floats], limit: int
) -> list[Ranked]:
    """The first `limit` whole entries of `order`, each by its best passage."""
    best: dict[str, int] = {}
    for i in order:
        best.setdefault(items[i].parent or items[i].id, i)
        if len(best) == limit:
            break
    chosen = list(best.values())
    rows = np.stack([values[chosen] for values in parts.values()], axis=1).round(6).tolist()
    return [
        Ranked(
            whole,
            float(totals[i]),
            {name: value for name, value in zip(parts, row, strict=True) if value},
            items[i].id if items[i].parent else None,
        )
        for (whole, i), row in zip(best.items(), rows, strict=True)
    ]
