"""Retention and pruning: the right ones go, pinned stay, quotas hold, plans are stable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.retention import Retainable, RetentionConfig, explain_retention, plan_pruning, retention

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(name: str = "e", *, days_old: float = 0, **more: object) -> Retainable:
    """An entry of some age."""
    return Retainable(id=name, timestamp=NOW - timedelta(days=days_old), **more)  # type: ignore[arg-type]


entries = st.lists(
    st.builds(
        Retainable,
        id=st.uuids().map(str),
        timestamp=st.floats(-10, 1000).map(lambda days: NOW - timedelta(days=days)),
        importance=st.floats(0, 1),
        accesses=st.integers(0, 1000),
        last_access=st.none() | st.floats(-1, 500).map(lambda days: NOW - timedelta(days=days)),
        derived=st.integers(0, 100),
        expires_at=st.none() | st.floats(-5, 5).map(lambda days: NOW + timedelta(days=days)),
        superseded=st.booleans(),
        pinned=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda e: e.id,
)
configs = st.builds(
    RetentionConfig,
    importance_weight=st.floats(0.01, 1),
    recency_weight=st.floats(0, 1),
    half_life_days=st.floats(0.01, 1000),
    max_age_days=st.none() | st.floats(1, 500),
)


@given(entries, configs)
def test_retention_is_bounded_and_explained(found: list[Retainable], config: RetentionConfig) -> None:
    """Every score is in [0, 1] and the sum of its parts."""
    for e in found:
        score = retention(e, NOW, config)
        assert -1e-12 <= score <= 1 + 1e-12
        assert score == pytest.approx(sum(explain_retention(e, NOW, config).values()))


@given(entries, configs, st.none() | st.integers(0, 30))
def test_quota_holds_and_pinned_stay(found: list[Retainable], config: RetentionConfig, quota: int | None) -> None:
    """No more than the quota is left unless pinned; nothing pinned goes; expired ones always go."""
    plan = plan_pruning(found, NOW, config, quota=quota)
    pinned = sum(e.pinned for e in found)
    assert plan.kept == len(found) - len(plan)
    if quota is not None:
        assert plan.kept <= max(quota, pinned)
    for e in found:
        if e.pinned:
            assert e.id not in plan
        elif e.expires_at is not None and e.expires_at <= NOW:
            assert plan.pruned[e.id].reason == "expired"


@given(entries, configs, st.integers(0, 30))
def test_what_goes_for_quota_is_worth_least(found: list[Retainable], config: RetentionConfig, quota: int) -> None:
    """No entry pruned for the quota scores above one that stays unpinned."""
    plan = plan_pruning(found, NOW, config, quota=quota)
    gone = [p.retention for p in plan.pruned.values() if p.reason == "quota"]
    kept = [retention(e, NOW, config) for e in found if e.id not in plan and not e.pinned]
    assert not gone or not kept or max(gone) <= min(kept)


@given(entries, configs, st.none() | st.integers(0, 30))
def test_planning_again_finds_nothing(found: list[Retainable], config: RetentionConfig, quota: int | None) -> None:
    """A plan carried out leaves nothing to plan; the order of the entries does not matter."""
    plan = plan_pruning(found, NOW, config, quota=quota)
    assert dict(plan_pruning(found[::-1], NOW, config, quota=quota).pruned) == dict(plan.pruned)
    assert not plan_pruning([e for e in found if e.id not in plan], NOW, config, quota=quota)


def test_recency_has_a_half_life() -> None:
    """After one half-life the recency part is half of what it was."""
    config = RetentionConfig(half_life_days=30)
    fresh, old = (explain_retention(entry(days_old=d), NOW, config)["recency"] for d in (0, 30))
    assert old == pytest.approx(fresh / 2)


@pytest.mark.parametrize(
    "better",
    [
        {"importance": 0.9},
        {"accesses": 3, "last_access": NOW - timedelta(days=1)},
        {"derived": 2},
    ],
)
def test_each_signal_speaks_for_keeping(better: dict[str, object]) -> None:
    """More important, recalled, or a source of something: kept before an entry that is the same otherwise."""
    plain, other = entry("a", days_old=50), entry("b", days_old=50, **better)
    assert list(plan_pruning([other, plain], NOW, quota=1)) == ["a"]


def test_superseded_entries_go_first() -> None:
    """Of two equal entries the superseded one goes."""
    plan = plan_pruning([entry("old", superseded=True), entry("new")], NOW, quota=1)
    assert list(plan) == ["old"]


def test_an_important_old_fact_outlives_recent_small_talk() -> None:
    """Recency alone never wins against importance."""
    plan = plan_pruning([entry("fact", days_old=700, importance=0.9), entry("chat", importance=0.1)], NOW, quota=1)
    assert list(plan) == ["chat"]


def test_age_limit_spares_the_protected() -> None:
    """Entries over the age limit go unless they are as important as `protected_importance`."""
    config = RetentionConfig(max_age_days=30, protected_importance=0.9)
    found = [entry("old", days_old=31), entry("vital", days_old=31, importance=0.95), entry("new", days_old=29)]
    assert {i: p.reason for i, p in plan_pruning(found, NOW, config).pruned.items()} == {"old": "age"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"half_life_days": 0},
        {"importance_weight": -0.1},
        {"importance_weight": 0, "recency_weight": 0, "access_weight": 0, "source_weight": 0},
    ],
)
def test_settings_are_bounded(wrong: dict[str, float]) -> None:
    """Settings that cannot work are refused with their name."""
    with pytest.raises(ConfigurationError, match="RetentionConfig"):
        RetentionConfig(**wrong)


def test_a_negative_quota_is_refused() -> None:
    """A quota below zero is an error, not everything."""
    with pytest.raises(ValueError, match="quota"):
        plan_pruning([], NOW, quota=-1)
