"""What a namespace over its quota lets go: a score for keeping, and a plan.

Retention is a weighted mean of four signals in [0, 1], the family of "generative agents" (Park et al. 2023:
recency, importance) with access as reinforcement (as in MemoryOS's heat and the spacing effect) and a
bonus for being what other entries were made of. Recency has a half-life and a small weight: old facts are often
the ones asked for, and on LoCoMo a recency weight above 0.2 loses answers while importance alone keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from memory_mgr.policy.settings import Settings

PruneReason: TypeAlias = Literal["expired", "age", "quota"]

_DAY = 86400.0


class RetentionConfig(Settings):
    """What makes an entry worth keeping. The weights are relative to their sum."""

    importance_weight: float = Field(default=0.65, ge=0, le=1, description="Weight of importance.")
    recency_weight: float = Field(default=0.15, ge=0, le=1, description="Weight of recency.")
    access_weight: float = Field(default=0.15, ge=0, le=1, description="Weight of having been recalled.")
    source_weight: float = Field(
        default=0.05, ge=0, le=1, description="Weight of being what other entries were made of."
    )
    half_life_days: float = Field(default=90.0, gt=0, description="Days after which recency has halved.")
    access_half_life_days: float = Field(
        default=180.0, gt=0, description="Days after the last recall at which its worth has halved."
    )
    access_saturation: int = Field(default=10, ge=1, description="Recalls that count in full; more count no more.")
    superseded_factor: float = Field(
        default=0.5, ge=0, le=1, description="What superseded entries' retention is multiplied by; 1 = no difference."
    )
    message_factor: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="The same for archived messages: what was noted by itself was worth noting.",
    )
    max_age_days: float | None = Field(default=None, gt=0, description="Older entries are pruned whatever they score.")
    protected_importance: float = Field(
        default=1.0, ge=0, le=1, description="Entries this important are never pruned by age (by quota, last)."
    )

    @model_validator(mode="after")
    def _some_weight(self) -> RetentionConfig:
        if self.importance_weight + self.recency_weight + self.access_weight + self.source_weight <= 0:
            raise ValueError("at least one weight must be above 0")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Retainable:
    """An entry that may be pruned.

    Attributes:
        id: Unique within the namespace.
        timestamp: When it was said or became true (aware).
        importance: In [0, 1].
        accesses: How often it was recalled, >= 0.
        last_access: When it was last recalled (aware), None = never.
        derived: How many entries were made of it (summaries, merges), >= 0.
        expires_at: When it stops being valid (aware), None = never.
        superseded: A newer entry replaced it.
        message: It is a message of a conversation, archived as it was said.
        pinned: Never pruned.
    """

    id: str
    timestamp: datetime
    importance: float = 0.5
    accesses: int = 0
    last_access: datetime | None = None
    derived: int = 0
    expires_at: datetime | None = None
    superseded: bool = False
    message: bool = False
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Pruned:
    """Why one entry goes.

    Attributes:
        reason: "expired", "age" or "quota".
        retention: Its score in [0, 1].
    """

    reason: PruneReason
    retention: float


@dataclass(frozen=True, slots=True)
class PruningPlan:
    """What goes, least worth keeping first. Acts as the collection of the ids that go.

    Attributes:
        pruned: Id -> why.
        kept: Number of entries left.
    """

    pruned: Mapping[str, Pruned] = field(default_factory=dict)
    kept: int = 0

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self.pruned

    def __iter__(self) -> Iterator[str]:
        return iter(self.pruned)

    def __len__(self) -> int:
        return len(self.pruned)


def retention(entry: Retainable, now: datetime, config: RetentionConfig | None = None) -> float:
    """How much an entry is worth keeping, in [0, 1]; the sum of `explain_retention`."""
    return math.fsum(explain_retention(entry, now, config).values())


def explain_retention(entry: Retainable, now: datetime, config: RetentionConfig | None = None) -> dict[str, float]:
    """The parts of `retention`: "importance", "recency", "access", "source".

    Recency is `0.5 ** (age / half_life)`; access is `log(1 + n) / log(1 + saturation)`, at most 1, halved with
    the time since the last recall; source is `1 - 0.5 ** derived`. All are multiplied by their share of the
    weights and, for superseded entries and messages, by their factors.
    """
    config = config or RetentionConfig()
    signals = {
        "importance": (config.importance_weight, min(max(entry.importance, 0.0), 1.0)),
        "recency": (config.recency_weight, _halved(entry.timestamp, now, config.half_life_days)),
        "access": (config.access_weight, _access(entry, now, config)),
        "source": (config.source_weight, 1 - 0.5 ** min(entry.derived, 64)),
    }
    factor = config.superseded_factor if entry.superseded else 1.0
    factor *= config.message_factor if entry.message else 1.0
    total = math.fsum(weight for weight, _ in signals.values())
    return {name: factor * weight * value / total for name, (weight, value) in signals.items()}


def _halved(since: datetime, now: datetime, half_life_days: float) -> float:
    days = max((now - since).total_seconds(), 0.0) / _DAY
    return float(0.5 ** min(days / half_life_days, 1000.0))


def _access(entry: Retainable, now: datetime, config: RetentionConfig) -> float:
    if entry.accesses <= 0:
        return 0.0
    often = min(math.log1p(entry.accesses) / math.log1p(config.access_saturation), 1.0)
    return often * _halved(entry.last_access or entry.timestamp, now, config.access_half_life_days)


def plan_pruning(
    entries: Sequence[Retainable], now: datetime, config: RetentionConfig | None = None, *, quota: int | None = None
) -> PruningPlan:
    """Decides which entries go.

    Expired entries and those over `max_age_days` go first; then, while more than `quota` are left, those with the
    lowest retention. Pinned entries never go, so more than `quota` may stay. Ties go by age, then by id, so that
    the same entries always give the same plan, and planning again after it finds nothing.

    Args:
        entries: All entries the quota is for, in any order.
        now: The current time (aware).
        config: Its settings.
        quota: Entries to keep at most, >= 0; None = no quota.

    Raises:
        ValueError: `quota` is negative.
    """
    if quota is not None and quota < 0:
        raise ValueError(f"quota must be 0 or more, or None for no quota (got {quota})")
    config = config or RetentionConfig()
    scores = {entry.id: retention(entry, now, config) for entry in entries}
    pruned: dict[str, Pruned] = {}
    for entry in entries:
        reason = _overdue(entry, now, config)
        if reason is not None:
            pruned[entry.id] = Pruned(reason, scores[entry.id])
    left = [entry for entry in entries if entry.id not in pruned]
    excess = 0 if quota is None else len(left) - quota
    movable = sorted((e for e in left if not e.pinned), key=lambda e: (scores[e.id], e.timestamp, e.id))
    for entry in movable[: max(excess, 0)]:
        pruned[entry.id] = Pruned("quota", scores[entry.id])
    ordered = dict(sorted(pruned.items(), key=lambda item: (item[1].retention, item[0])))
    return PruningPlan(ordered, len(entries) - len(ordered))


def _overdue(entry: Retainable, now: datetime, config: RetentionConfig) -> PruneReason | None:
    if entry.pinned:
        return None
    if entry.expires_at is not None and entry.expires_at <= now:
        return "expired"
    too_old = config.max_age_days is not None and (now - entry.timestamp).total_seconds() > config.max_age_days * _DAY
    return "age" if too_old and entry.importance < config.protected_importance else None
