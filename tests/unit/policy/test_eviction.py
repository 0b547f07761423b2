"""Eviction from the window: whole turns, paired tool calls, pinned kept, room to spare afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.eviction import Candidate, EvictionConfig, plan_eviction, turns

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def message(index: int, role: str = "user", *, tokens: int = 10, minutes_ago: float = 0, **more: object) -> Candidate:
    """A message of the window."""
    return Candidate(
        id=f"m{index}",
        role=role,
        tokens=tokens,
        timestamp=NOW - timedelta(minutes=minutes_ago),
        **more,  # type: ignore[arg-type]
    )


def limits(**changes: object) -> EvictionConfig:
    """Only the limits given."""
    none: dict[str, object] = {"max_messages": None, "max_tokens": None, "max_age_seconds": None}
    return EvictionConfig(**(none | changes))


def dialogue(count: int, **more: object) -> list[Candidate]:
    """User and assistant in turn."""
    return [message(i, "user" if i % 2 == 0 else "assistant", **more) for i in range(count)]  # type: ignore[arg-type]


@st.composite
def windows(draw: st.DrawFn) -> list[Candidate]:
    """Any window: system messages anywhere, tools called and answered, some after the next user message."""
    window: list[Candidate] = []
    open_calls: list[str] = []
    for i in range(draw(st.integers(0, 25))):
        role = draw(st.sampled_from(["user", "user", "assistant", "assistant", "tool", "system"]))
        calls: tuple[str, ...] = ()
        answers = None
        if role == "tool":
            if not open_calls:
                continue
            answers = open_calls.pop(draw(st.integers(0, len(open_calls) - 1)))
        if role == "assistant" and draw(st.booleans()):
            calls = tuple(f"c{i}.{k}" for k in range(draw(st.integers(1, 2))))
            open_calls += calls
        window.append(
            message(
                i,
                role,
                tokens=draw(st.integers(0, 50)),
                minutes_ago=25 - i,
                importance=draw(st.floats(0, 1)),
                pinned=draw(st.integers(0, 9)) == 0,
                tool_calls=calls,
                tool_call_id=answers,
            )
        )
    return window


configs = st.builds(
    EvictionConfig,
    max_messages=st.none() | st.integers(1, 20),
    max_tokens=st.none() | st.integers(1, 400),
    max_age_seconds=st.none() | st.floats(1, 1800),
    evict_to=st.floats(0.1, 1),
    importance_weight=st.floats(0, 1),
)


@given(windows(), configs)
def test_turns_leave_whole_and_pinned_stay(window: list[Candidate], config: EvictionConfig) -> None:
    """A turn leaves with all of its messages or not at all; system and pinned messages never leave."""
    plan = plan_eviction(window, config, NOW)
    for turn in turns(window):
        assert len({message_id in plan for message_id in turn}) == 1
    assert not any(m.id in plan for m in window if m.pinned or m.role == "system")


@given(windows(), configs)
def test_calls_and_results_never_part(window: list[Candidate], config: EvictionConfig) -> None:
    """A tool call and its result leave together or stay together."""
    plan = plan_eviction(window, config, NOW)
    caller = {call: m.id for m in window for call in m.tool_calls}
    for m in window:
        if m.tool_call_id is not None:
            assert (m.id in plan) == (caller[m.tool_call_id] in plan)


@given(windows(), configs)
def test_planning_again_finds_nothing(window: list[Candidate], config: EvictionConfig) -> None:
    """What a plan leaves is within the limits, or nothing more may leave; so a second plan is empty."""
    plan = plan_eviction(window, config, NOW)
    left = [m for m in window if m.id not in plan]
    assert (plan.messages, plan.tokens) == (len(left), sum(m.tokens for m in left))
    assert not plan_eviction(left, config, NOW)


@given(windows(), configs)
def test_only_the_last_turn_and_pinned_ones_may_exceed_a_limit(window: list[Candidate], config: EvictionConfig) -> None:
    """The window is over a limit afterwards only if just its last turn, pinned turns and system are left."""
    plan = plan_eviction(window, config, NOW)
    over = (config.max_messages is not None and plan.messages > config.max_messages) or (
        config.max_tokens is not None and plan.tokens > config.max_tokens
    )
    if over:
        by_id = {m.id: m for m in window}
        for turn in turns(window)[:-1]:
            assert turn[0] in plan or any(by_id[i].pinned for i in turn)


@given(windows(), configs)
def test_first_kept_message_is_a_users(window: list[Candidate], config: EvictionConfig) -> None:
    """A window that starts with a user message still does after an eviction (system messages apart)."""
    talk = [m for m in window if m.role != "system"]
    if not talk or talk[0].role != "user":
        return
    kept = [m for m in talk if m.id not in plan_eviction(window, config, NOW)]
    assert not kept or kept[0].role == "user"


def test_nothing_leaves_below_the_limits() -> None:
    """A window at its limits is left alone."""
    assert not plan_eviction(dialogue(10), limits(max_messages=10, max_tokens=100), NOW)


def test_oldest_turns_leave_until_there_is_room() -> None:
    """Over a limit of 10 with evict_to 0.5, five messages or fewer are left, the newest."""
    plan = plan_eviction(dialogue(12), limits(max_messages=10, evict_to=0.5), NOW)
    assert list(plan) == [f"m{i}" for i in range(8)]
    assert set(plan.reasons.values()) == {"messages"}


def test_tokens_are_a_limit_of_their_own() -> None:
    """Tokens alone can ask for an eviction; the reason says so."""
    plan = plan_eviction(dialogue(4, tokens=100), limits(max_messages=100, max_tokens=300, evict_to=1.0), NOW)
    assert dict(plan.reasons) == {"m0": "tokens", "m1": "tokens"}


def test_old_turns_leave_by_age_even_the_last() -> None:
    """A conversation that ended long ago empties."""
    window = [message(0, minutes_ago=90), message(1, "assistant", minutes_ago=61), message(2, minutes_ago=5)]
    assert list(plan_eviction(window, limits(max_age_seconds=3600), NOW)) == ["m0", "m1"]
    assert len(plan_eviction(window, limits(max_age_seconds=60), NOW)) == 3


def test_a_call_that_waits_for_its_result_is_not_aged_out() -> None:
    """A turn whose tool is still running stays however old it is."""
    window = [message(0, minutes_ago=90), message(1, "assistant", minutes_ago=89, tool_calls=("c",))]
    assert not plan_eviction(window, limits(max_age_seconds=60), NOW)


def test_a_result_after_the_next_user_message_joins_the_turns() -> None:
    """A slow tool's result makes one turn of all that was said from the call on."""
    window = [
        message(0),
        message(1, "assistant", tool_calls=("c",)),
        message(2),
        message(3, "tool", tool_call_id="c"),
        message(4),
    ]
    assert turns(window) == [("m0", "m1", "m2", "m3"), ("m4",)]


def test_call_ids_may_repeat() -> None:
    """A result belongs to the latest call of its id, so repeated ids do not glue a conversation together."""
    window = []
    for i in range(0, 9, 3):
        window += [message(i), message(i + 1, "assistant", tool_calls=("call_0",))]
        window += [message(i + 2, "tool", tool_call_id="call_0")]
    assert len(turns(window)) == 3


def test_importance_can_outweigh_age() -> None:
    """With a weight, an important old turn outlives newer small talk; without, the oldest goes first."""
    window = [
        message(0, importance=0.95),
        message(1, importance=0.1),
        message(2, importance=0.1),
        message(3, importance=0.1),
    ]
    assert list(plan_eviction(window, limits(max_messages=3, evict_to=1.0), NOW)) == ["m0"]
    weighted = limits(max_messages=3, evict_to=1.0, importance_weight=0.7)
    assert list(plan_eviction(window, weighted, NOW)) == ["m1"]


@pytest.mark.parametrize("wrong", [{"max_messages": 0}, {"evict_to": 0}, {"evict_to": 1.5}, {"max_age_seconds": -1}])
def test_limits_are_bounded(wrong: dict[str, float]) -> None:
    """Limits that cannot work are refused."""
    with pytest.raises(ConfigurationError):
        EvictionConfig(**wrong)
