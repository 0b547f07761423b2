"""Which turns leave the window of recent messages.

A turn is a user message with everything up to the next user message; it leaves whole, so that the window
always starts with a user message and tool calls keep their results. Oldest turns go first unless importance
is given a weight. System and pinned messages stay, and so does the turn that is going on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from pydantic import Field

from memory_mgr.policy.settings import Settings

Reason: TypeAlias = Literal["messages", "tokens", "age"]
EVICT_TO = 0.7
"""Of a window's tokens that stay when it was made to fit a prompt: most of the prompt is in use, eviction is rare."""


class Limits(Protocol):
    """What bounds a window; `EvictionConfig` documents the fields."""

    @property
    def max_messages(self) -> int | None: ...  # noqa: D102
    @property
    def max_tokens(self) -> int | None: ...  # noqa: D102
    @property
    def max_age_seconds(self) -> float | None: ...  # noqa: D102
    @property
    def evict_to(self) -> float: ...  # noqa: D102


class EvictionConfig(Settings):
    """Limits of the window; one that is None does not apply."""

    max_messages: int | None = Field(default=40, ge=1, description="Messages kept; more are evicted by whole turns.")
    max_tokens: int | None = Field(default=4000, ge=1, description="Tokens kept.")
    max_age_seconds: float | None = Field(default=None, gt=0, description="Turns whose last message is older leave.")
    evict_to: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of an exceeded limit that is left, so that eviction is rare.",
    )
    importance_weight: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0: oldest turns leave first; 1: least important first; between: a blend of the two. "
        "Above 0 the window may have gaps.",
    )


def fitting(own: EvictionConfig, max_tokens: int) -> EvictionConfig:
    """The window that fits into `max_tokens` of a prompt, but for what `own`, the memory's settings, say themselves."""
    wanted = {"max_messages": None, "max_tokens": max(1, max_tokens), "evict_to": EVICT_TO}
    return EvictionConfig(**(wanted | {name: getattr(own, name) for name in own.model_fields_set}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A message in the window.

    Attributes:
        id: Unique within the window.
        role: "user" starts a turn; "system" never leaves.
        tokens: Its size, >= 0.
        timestamp: When it was said (aware).
        importance: In [0, 1]; a turn counts as its most important message.
        pinned: Its turn never leaves.
        tool_calls: Ids of the tool calls it makes.
        tool_call_id: Id of the call it answers.
    """

    id: str
    role: str
    tokens: int
    timestamp: datetime
    importance: float = 0.5
    pinned: bool = False
    tool_calls: tuple[str, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class EvictionPlan:
    """What leaves and why. Acts as the collection of the leaving ids, in the window's order.

    Attributes:
        reasons: Leaving id -> the limit that asked for it.
        messages: Messages left.
        tokens: Tokens left.
    """

    reasons: Mapping[str, Reason] = field(default_factory=dict)
    messages: int = 0
    tokens: int = 0

    def __contains__(self, message_id: object) -> bool:
        return message_id in self.reasons

    def __iter__(self) -> Iterator[str]:
        return iter(self.reasons)

    def __len__(self) -> int:
        return len(self.reasons)


@dataclass(slots=True)
class _Turn:
    members: list[Candidate]

    @property
    def tokens(self) -> int:
        return sum(member.tokens for member in self.members)

    @property
    def latest(self) -> datetime:
        return max(member.timestamp for member in self.members)

    @property
    def importance(self) -> float:
        return max(member.importance for member in self.members)

    @property
    def pinned(self) -> bool:
        return any(member.pinned for member in self.members)

    @property
    def awaits_results(self) -> bool:
        answered = {member.tool_call_id for member in self.members}
        return any(call not in answered for member in self.members for call in member.tool_calls)


def turns(candidates: Sequence[Candidate]) -> list[tuple[str, ...]]:
    """The ids of each turn, system messages left out; turns that share a tool call and its result are one."""
    return [tuple(member.id for member in turn.members) for turn in _turns(candidates)]


def _turns(candidates: Sequence[Candidate]) -> list[_Turn]:
    found: list[_Turn] = []
    for candidate in candidates:
        if candidate.role == "system":
            continue
        if candidate.role == "user" or not found:
            found.append(_Turn([]))
        found[-1].members.append(candidate)
    return _joined(found)


def _joined(found: list[_Turn]) -> list[_Turn]:
    """Turns from a tool call to its last result made one (a user may speak while a tool still runs)."""
    turn_of_call: dict[str, int] = {}  # the latest: some models number their calls anew in every turn
    continuing: set[int] = set()
    for i, turn in enumerate(found):
        for member in turn.members:
            turn_of_call.update(dict.fromkeys(member.tool_calls, i))
            if member.tool_call_id is not None:
                continuing.update(range(turn_of_call.get(member.tool_call_id, i) + 1, i + 1))
    joined: list[_Turn] = []
    for i, turn in enumerate(found):
        if i in continuing:
            joined[-1].members.extend(turn.members)
        else:
            joined.append(turn)
    return joined


def plan_eviction(candidates: Sequence[Candidate], limits: Limits, now: datetime) -> EvictionPlan:
    """Decides which messages leave.

    Age is looked at first. Then, if what is left is over `max_messages` or `max_tokens`, turns leave until
    that limit's share `evict_to` is met. The last turn leaves only by age, and never while a tool call in it
    waits for its result; so a window stays over a limit if its last turn and what is pinned are larger.

    Args:
        candidates: The window in its order.
        limits: An `EvictionConfig` or anything with its fields; `importance_weight` may be missing (0).
        now: The current time (aware).

    Returns:
        The plan; empty if no limit is exceeded. Applied and made again at the same time, it is empty.
    """
    all_turns = _turns(candidates)
    reasons: dict[str, Reason] = {}
    for turn in all_turns:
        if _too_old(turn, limits.max_age_seconds, now):
            reasons |= dict.fromkeys((member.id for member in turn.members), "age")
    messages = len(candidates) - len(reasons)
    tokens = sum(candidate.tokens for candidate in candidates if candidate.id not in reasons)
    over_messages = limits.max_messages is not None and messages > limits.max_messages
    over_tokens = limits.max_tokens is not None and tokens > limits.max_tokens
    weight = float(getattr(limits, "importance_weight", 0.0))
    for turn in _in_order_of_leaving(all_turns, reasons, weight) if over_messages or over_tokens else ():
        reason: Reason
        if over_messages and messages > limits.evict_to * (limits.max_messages or 0):
            reason = "messages"
        elif over_tokens and tokens > limits.evict_to * (limits.max_tokens or 0):
            reason = "tokens"
        else:
            break
        reasons |= dict.fromkeys((member.id for member in turn.members), reason)
        messages -= len(turn.members)
        tokens -= turn.tokens
    ordered = {candidate.id: reasons[candidate.id] for candidate in candidates if candidate.id in reasons}
    return EvictionPlan(ordered, messages, tokens)


def _too_old(turn: _Turn, max_age_seconds: float | None, now: datetime) -> bool:
    if max_age_seconds is None or turn.pinned or turn.awaits_results:
        return False
    return (now - turn.latest).total_seconds() > max_age_seconds


def _in_order_of_leaving(all_turns: Sequence[_Turn], gone: Mapping[str, Reason], weight: float) -> list[_Turn]:
    """The turns that may leave for size, the first to go first; never the last turn of the window."""
    last = len(all_turns) - 1
    movable = [
        (position, turn)
        for position, turn in enumerate(all_turns[:last] if last > 0 else [])
        if not turn.pinned and turn.members[0].id not in gone
    ]

    def worth(item: tuple[int, _Turn]) -> tuple[float, int]:
        position, turn = item
        return (1 - weight) * position / max(last, 1) + weight * turn.importance, position

    return [turn for _, turn in sorted(movable, key=worth)]
