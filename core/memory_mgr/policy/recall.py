"""The order in which memories answer a query.

`score` sums the evidence for each candidate, `best` picks from the front of that order once its texts were read; `rank`
does both for entries that are at hand. All are pure. Each kind of evidence lies in [0, 1], its weight is a setting
(`RecallConfig`), and the contribution of each is reported, so that a user sees why a memory came up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import repeat
from typing import NamedTuple

import numpy as np

from memory_mgr.policy.candidates import Candidates, Item, Positions
from memory_mgr.policy.fusion import Floats, dense_scale, lexical_scale
from memory_mgr.policy.lexical import words
from memory_mgr.policy.neighbourhood import Neighbourhood
from memory_mgr.policy.query import Query
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.policy.time_expressions import time_fit

_ALONE_SUBSTANCE = 0.8
"""Substance of an entry outside any conversation: a fact is short because it says one thing."""

_ALONE_NEIGHBOUR = 0.5
"""Share of its own match that such an entry gets for the neighbours it cannot have."""

_SPARE = 20
"""Read beyond what is wanted: so many may repeat others."""

_REPEATS = 60
"""If more do, so many others are read; for fewer than twenty results three times as many as results."""

_REPEATED = 0.5
"""What is left of the score of an entry whose words were all said by a better one."""


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


class Shown(NamedTuple):
    """What is read of a candidate once it is near the top.

    Attributes:
        position: Where it is among the candidates.
        id: Of the entry or passage.
        content: Verbatim.
        parent: The entry that a passage is part of; None = it is whole.
    """

    position: int
    id: str
    content: str
    parent: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the evidence says of each candidate.

    Attributes:
        totals: The scores, in [0, 1], shape (n,).
        parts: What each kind of evidence contributed.
        times: When each was said, in epoch seconds.
        order: Where the eligible ones are, best first; of equal ones the newer, then the one of the lesser key.
        passages: Whether passages are among them.
    """

    totals: Floats
    parts: Mapping[str, Floats]
    times: Floats
    order: Positions
    passages: bool

    def fronts(self, limit: int) -> Iterator[list[int]]:
        """Positions, best first, of those that have to be read to tell the best `limit`.

        More the second time: for when so many of the first repeat others that fewer than `limit` do not.
        """
        if self.passages:  # how many passages belong to one entry is not known before
            yield self.order.tolist()
            return
        few, most = limit + _SPARE, limit + _SPARE + min(3 * limit, _REPEATS)
        yield self.order[:few].tolist()
        if len(self.order) > few:
            yield self.order[:most].tolist()


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
    scored = score(query, Candidates.of(items, query), config or RecallConfig(), now=now)
    for positions in scored.fronts(limit):
        front = [Shown(i, items[i].id, items[i].content, items[i].parent) for i in positions]
        repeated = repeats(scored, front)
        if len(front) - len(repeated) >= limit:
            break
    return best(scored, front, repeated, limit, explain=True)


def score(query: Query, candidates: Candidates, config: RecallConfig, *, now: datetime) -> Scored:
    """Weigh the evidence for each candidate."""
    parts = _evidence(query, candidates, config, now)
    scale = 1.0 / max(sum(_weights(config).values()), 1e-9)
    contributions = {name: values * scale for name, values in parts.items()}
    totals = np.clip(np.sum(list(contributions.values()), axis=0), 0.0, 1.0)
    order = np.lexsort((candidates.keys, -candidates.times, -totals))
    eligible = order[candidates.eligible[order]]
    return Scored(totals, contributions, candidates.times, eligible, bool(candidates.passage.any()))


def best(scored: Scored, front: Sequence[Shown], repeated: Sequence[int], limit: int, *, explain: bool) -> list[Ranked]:
    """The best `limit` whole entries, each by its best passage.

    Args:
        scored: From `score`.
        front: Those of one of `scored.fronts(limit)` that are still there, in order.
        repeated: From `repeats`.
        limit: >= 0.
        explain: With the parts of each score.
    """
    totals = scored.totals.copy()
    totals[repeated] *= _REPEATED
    ordered = sorted(front, key=lambda shown: (-totals[shown.position], -scored.times[shown.position], shown.id))
    by_whole: dict[str, Shown] = {}
    for shown in ordered:
        if len(by_whole) == limit:
            break
        by_whole.setdefault(shown.parent or shown.id, shown)
    parts = _parts(scored, [shown.position for shown in by_whole.values()]) if explain else repeat({})
    return [
        Ranked(whole, float(totals[shown.position]), told, shown.id if shown.parent else None)
        for (whole, shown), told in zip(by_whole.items(), parts, strict=False)
    ]


def _parts(scored: Scored, chosen: Sequence[int]) -> list[dict[str, float]]:
    """What each kind of evidence contributed to some candidates, where it did."""
    rows = np.stack([values[chosen] for values in scored.parts.values()], axis=1).round(6).tolist()
    return [{name: value for name, value in zip(scored.parts, row, strict=True) if value} for row in rows]


def repeats(scored: Scored, front: Sequence[Shown]) -> list[int]:
    """Positions of what repeats a better one word for word: recall is for different things. None among passages."""
    seen: set[tuple[str, ...]] = set()
    repeated = []
    for shown in () if scored.passages else front:
        said = tuple(shown.content.casefold().split())
        if said in seen:
            repeated.append(shown.position)
        seen.add(said)
    return repeated


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


def _evidence(query: Query, candidates: Candidates, config: RecallConfig, now: datetime) -> dict[str, Floats]:
    """The weighted contribution of each kind of evidence to each candidate."""
    lexical = lexical_scale(candidates.lexical, config.lexical_floor)
    dense = dense_scale(candidates.dense, config.dense_span)
    around = Neighbourhood(candidates, config.context_gap_hours * 3600)
    match = _match(lexical, dense, config)
    weights = _weights(config)
    beside = np.where(candidates.alone, _ALONE_NEIGHBOUR * match, around.best_beside(match))
    utterance = around.best_of_utterance(match)
    return {
        "lexical": weights["lexical"] * lexical,
        "dense": weights["dense"] * dense,
        "neighbour": config.neighbour_weight * beside + config.utterance_weight * utterance,
        "session": weights["session"] * around.session_worth() * around.session_scores(match, config.session_best),
        "answer": weights["answer"] * around.question_before(lexical, candidates.asks),
        "time": weights["time"] * _times(query, candidates),
        "cue": weights["cue"] * candidates.cued.astype(np.float64),
        "speaker": weights["speaker"] * _named_speaker(query, candidates),
        "substance": weights["substance"] * np.where(candidates.alone, _ALONE_SUBSTANCE, candidates.substance),
        "statement": weights["statement"] * (~candidates.asks).astype(np.float64),
        "importance": weights["importance"] * np.clip(candidates.importance, 0.0, 1.0),
        "recency": weights["recency"] * recency(candidates, now, config),
    }


def _match(lexical: Floats, dense: Floats, config: RecallConfig) -> Floats:
    """Words and meaning together, in [0, 1]: what entries lend to each other."""
    share = config.lexical_weight + config.dense_weight
    return lexical if share == 0 else 0.6 * lexical + 0.4 * dense


def _times(query: Query, candidates: Candidates) -> Floats:
    if not query.times:
        return np.zeros(len(candidates))
    moments = (datetime.fromtimestamp(time, UTC) for time in candidates.times.tolist())
    return np.array([time_fit(query.times, moment) for moment in moments], np.float64)


def _named_speaker(query: Query, candidates: Candidates) -> Floats:
    """1 for what was said by the one speaker that the query names; all 0 if it names none or several."""
    asked = set(query.terms)
    speaking = {number: candidates.speaker_names[number] for number in set(candidates.speakers.tolist()) if number >= 0}
    named = [number for number, name in speaking.items() if asked & {w for w in words(name) if len(w) > 1}]
    if len(named) != 1:
        return np.zeros(len(candidates))
    said: Floats = (candidates.speakers == named[0]).astype(np.float64)
    return said


def recency(candidates: Candidates, now: datetime, config: RecallConfig) -> Floats:
    """How recent each candidate is, in (0, 1]: halved with every half-life of its tier, as in memweave.

    Being recalled makes it young again, by `recall_renews` of its age (Generative Agents, Park et al. 2023, count
    from the last access alone).
    """
    half_lives = np.array([config.half_life_days.get(tier, 90.0) for tier in candidates.tier_names])[candidates.tiers]
    recalled = np.where(np.isnan(candidates.recalled), candidates.times, candidates.recalled)
    age, since = (np.maximum(0.0, (now.timestamp() - moments) / 86400) for moments in (candidates.times, recalled))
    age -= config.recall_renews * np.maximum(0.0, age - since)
    recent: Floats = 2.0 ** -np.minimum(age / half_lives, 1000.0)
    return recent
