"""What of a history fits into a token budget: whole turns, newest first, valid for every provider.

Providers refuse a history that starts with an assistant, a tool result without its call, and a call without its
result (LlamaIndex issues 20256 and 10493). Which messages form a turn is the core's rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from llama_index.core.base.llms.types import ChatMessage, TextBlock

from llamaindex_memory_mgr.counting import MessageCounter
from llamaindex_memory_mgr.messages import answered_call, calls_of, copied, role_of, without_calls
from memory_mgr.policy.eviction import Candidate, turns
from memory_mgr.policy.rendering import CUT

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Candidates need a time; turns do not depend on it."""


@dataclass(frozen=True)
class Item:
    """A message of the history.

    Attributes:
        id: Unique within the history.
        message: What may be sent; a copy.
        tokens: Its size.
    """

    id: str
    message: ChatMessage
    tokens: int


def fitted(items: Sequence[Item], budget: int, counter: MessageCounter, *, newest: int | None = None) -> list[Item]:
    """The system messages and the newest whole turns that fit into `budget` tokens, in order.

    The newest turn is always there. If it is too large, its tool outputs are shortened, then what stands between
    its first and last message is left out, then all but what the user said; only that can be over the budget.

    Args:
        items: The history, oldest first.
        budget: Tokens; may be negative.
        counter: Counts what was shortened.
        newest: Tokens that the system messages and the newest turn may take; default: `budget`.
    """
    system = [item for item in items if role_of(item.message) == "system"]
    others = _from_first_user([item for item in items if role_of(item.message) != "system"])
    groups = _turns(_paired(others, counter))
    if not groups:
        return system
    last = groups.pop()
    most = max(budget, budget if newest is None else newest) - _size(system)
    if _size(last) > most:
        return [*system, *_shrunk(last, most, counter)]
    kept = [last]
    left = budget - _size(system) - _size(last)
    while groups and (size := _size(groups[-1])) <= left:
        kept.insert(0, groups.pop())
        left -= size
    return [*system, *(item for turn in kept for item in turn)]


def _turns(items: Sequence[Item]) -> list[list[Item]]:
    by_id = {item.id: item for item in items}
    candidates = [
        Candidate(
            id=item.id,
            role=role_of(item.message),
            tokens=item.tokens,
            timestamp=_ANY_TIME,
            tool_calls=tuple(call.id for call in calls_of(item.message)),
            tool_call_id=answered_call(item.message),
        )
        for item in items
    ]
    return [[by_id[i] for i in turn] for turn in turns(candidates)]


def _from_first_user(items: list[Item]) -> list[Item]:
    """Without what stands before the first user message, unless no user has spoken yet."""
    first = next((i for i, item in enumerate(items) if role_of(item.message) == "user"), 0)
    return items[first:]


# --- pairs of calls and results ----------------------------------------------------------------------------------


def _paired(items: Sequence[Item], counter: MessageCounter) -> list[Item]:
    """Without results that answer no call and calls that got no result."""
    answered = {answered_call(item.message) for item in items if role_of(item.message) == "tool"}
    called: set[str] = set()
    kept: list[Item] = []
    for item in items:
        calls = [call.id for call in calls_of(item.message)]
        called.update(calls)
        if role_of(item.message) == "tool":
            if _is_answer(item, kept, called):
                kept.append(item)
            continue
        # A result that names no call may be anyone's.
        open_calls = [] if None in answered else [call for call in calls if call not in answered]
        if not open_calls:
            kept.append(item)
        elif (rest := without_calls(item.message, open_calls)).blocks:
            kept.append(replace(item, message=rest, tokens=counter.message(rest)))
    return kept


def _is_answer(item: Item, before: Sequence[Item], called: set[str]) -> bool:
    """Whether a tool message has its call; one that names none belongs to the assistant before it."""
    call = answered_call(item.message)
    if call is not None:
        return call in called
    return bool(before) and role_of(before[-1].message) in {"assistant", "tool"}


# --- a turn that is too large ------------------------------------------------------------------------------------


def _shrunk(turn: Sequence[Item], budget: int, counter: MessageCounter) -> list[Item]:
    """The turn, less and less of it until it fits; the last user message if nothing does."""
    shortened = _with_short_outputs(turn, budget, counter)
    if _size(shortened) <= budget:
        return shortened
    users = [item for item in turn if role_of(item.message) == "user"]
    last = turn[-1]
    ends = [*users, last] if role_of(last.message) == "assistant" and not any(calls_of(last.message)) else users
    for smaller in (ends, users):
        if _size(smaller) <= budget:
            return list(smaller)
    return users[-1:] or list(turn[-1:])


def _size(items: Sequence[Item]) -> int:
    return sum(item.tokens for item in items)


def _with_short_outputs(turn: Sequence[Item], budget: int, counter: MessageCounter) -> list[Item]:
    """The turn with each tool output cut to the greatest common length at which it fits."""
    longest = max((len(_output(item)) for item in turn), default=0)
    low, high = 0, longest
    while low < high:
        middle = (low + high + 1) // 2
        fits = _size([_cut(item, middle, counter) for item in turn]) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return [_cut(item, low, counter) for item in turn]


def _output(item: Item) -> str:
    return (item.message.content or "") if role_of(item.message) == "tool" else ""


def _cut(item: Item, length: int, counter: MessageCounter) -> Item:
    """A tool message whose text is cut to `length` characters and marked; others as they are."""
    text = _output(item)
    if len(text) <= length:
        return item
    short = copied(item.message)
    short.blocks = [TextBlock(text=text[:length] + CUT)]
    tokens = counter.message(short)
    return replace(item, message=short, tokens=tokens) if tokens < item.tokens else item
