"""What of a history is sent: whole turns, newest first, inside a token budget, valid for every provider.

Providers refuse a history that starts with an assistant, a tool result without its call, a call without its result,
and a result that does not stand behind its call (LangChain issues 34282 and 38352, LlamaIndex 20256 and 10493).
Which messages form a turn is the rule of `policy.eviction`. The history itself is never changed: this is a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from memory_mgr.policy.eviction import Candidate, turns
from memory_mgr.policy.rendering import CUT

M = TypeVar("M")
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""Candidates need a time; turns do not depend on it."""


class Form(Protocol[M]):
    """What trimming knows of a framework's messages, and how it makes smaller ones; it never changes one."""

    def role(self, message: M) -> str:
        """One of the core's four roles."""
        ...

    def calls(self, message: M) -> Sequence[str]:
        """Ids of the tool calls that a message makes."""
        ...

    def answered(self, message: M) -> str | None:
        """Id of the call that a tool message answers; None if it names none."""
        ...

    def without_calls(self, message: M, calls: Sequence[str]) -> M | None:
        """The message without these calls, None if nothing else is in it."""
        ...

    def text(self, message: M) -> str:
        """The text of a tool message."""
        ...

    def with_text(self, message: M, text: str) -> M:
        """A tool message with another text."""
        ...

    def tokens(self, message: M) -> int:
        """Its size as it is sent."""
        ...


@dataclass(frozen=True)
class Item(Generic[M]):
    """A message of a history.

    Attributes:
        id: Unique within the history.
        message: The framework's message.
        tokens: Its size.
    """

    id: str
    message: M
    tokens: int


def size(items: Sequence[Item[M]]) -> int:
    """Tokens of all."""
    return sum(item.tokens for item in items)


def fitted(items: Sequence[Item[M]], budget: int, form: Form[M], *, newest: int | None = None) -> list[Item[M]]:
    """The system messages and the newest whole turns that fit into `budget` tokens, in order.

    The newest turn is always there if a user began it. If it is too large, its tool outputs are shortened, then what
    stands between its first and last message is left out, then all but what the user said; only that can be over
    the budget.

    Args:
        items: The history, oldest first.
        budget: Tokens; may be negative.
        form: The framework's messages.
        newest: Tokens that the system messages and the newest turn may take; default: `budget`.
    """
    system = [item for item in items if form.role(item.message) == "system"]
    others = _from_first_user([item for item in items if form.role(item.message) != "system"], form)
    groups = _turns(paired(others, form), form)
    if not groups:
        return system
    last = groups.pop()
    most = max(budget, budget if newest is None else newest) - size(system)
    if size(last) > most:
        return [*system, *_shrunk(last, most, form)]
    kept = [last]
    left = budget - size(system) - size(last)
    while groups and (needed := size(groups[-1])) <= left:
        kept.insert(0, groups.pop())
        left -= needed
    return [*system, *(item for turn in kept for item in turn)]


def _turns(items: Sequence[Item[M]], form: Form[M]) -> list[list[Item[M]]]:
    by_id = {item.id: item for item in items}
    candidates = [
        Candidate(
            id=item.id,
            role=form.role(item.message),
            tokens=item.tokens,
            timestamp=_ANY_TIME,
            tool_calls=tuple(form.calls(item.message)),
            tool_call_id=form.answered(item.message),
        )
        for item in items
    ]
    return [[by_id[i] for i in turn] for turn in turns(candidates)]


def _from_first_user(items: list[Item[M]], form: Form[M]) -> list[Item[M]]:
    """Without what stands before the first user message, unless no user has spoken yet."""
    first = next((i for i, item in enumerate(items) if form.role(item.message) == "user"), 0)
    return items[first:]


# --- pairs of calls and results ----------------------------------------------------------------------------------


def paired(items: Sequence[Item[M]], form: Form[M]) -> list[Item[M]]:
    """The items with each result behind its call; results of no call and calls without a result are left out."""
    groups: list[list[Item[M]]] = []
    waiting: dict[str, list[Item[M]]] = {}  # the latest: some models number their calls anew in every turn
    unanswered: dict[str, list[str]] = {}
    nameless = False
    for item in items:
        if form.role(item.message) != "tool":
            groups.append([item])
            for call in form.calls(item.message):
                waiting[call] = groups[-1]
                unanswered.setdefault(item.id, []).append(call)
            continue
        call_id = form.answered(item.message)
        asked = waiting.pop(call_id, None) if call_id is not None else _before(groups, form)
        nameless = nameless or call_id is None
        if asked is not None:
            asked.append(item)
            if call_id is not None:
                unanswered[asked[0].id].remove(call_id)
    # A result that names no call may be anyone's.
    open_calls = {} if nameless else unanswered
    flat = [item for group in groups for item in group]
    return [kept for item in flat if (kept := _without(item, open_calls.get(item.id, ()), form)) is not None]


def _before(groups: list[list[Item[M]]], form: Form[M]) -> list[Item[M]] | None:
    """What a result that names no call belongs to: the assistant it follows."""
    return groups[-1] if groups and form.role(groups[-1][0].message) == "assistant" else None


def _without(item: Item[M], calls: Sequence[str], form: Form[M]) -> Item[M] | None:
    if not calls:
        return item
    rest = form.without_calls(item.message, calls)
    return None if rest is None else replace(item, message=rest, tokens=form.tokens(rest))


# --- a turn that is too large ------------------------------------------------------------------------------------


def _shrunk(turn: Sequence[Item[M]], budget: int, form: Form[M]) -> list[Item[M]]:
    """The turn, less and less of it until it fits; if nothing does, the last message that may stand alone: a user's."""
    shortened = _with_short_outputs(turn, budget, form)
    if size(shortened) <= budget:
        return shortened
    users = [item for item in turn if form.role(item.message) == "user"]
    last = turn[-1]
    closes = form.role(last.message) == "assistant" and not form.calls(last.message)
    for smaller in ([*users, last] if closes else users, users):
        if size(smaller) <= budget:
            return list(smaller)
    alone = [item for item in turn if form.role(item.message) != "tool" and not form.calls(item.message)]
    return users[-1:] or alone[-1:]


def _with_short_outputs(turn: Sequence[Item[M]], budget: int, form: Form[M]) -> list[Item[M]]:
    """The turn with each tool output cut to the greatest common length at which it fits."""
    outputs = (len(form.text(item.message)) for item in turn if form.role(item.message) == "tool")
    low, high = 0, max(outputs, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        fits = size([_cut(item, middle, form) for item in turn]) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return [_cut(item, low, form) for item in turn]


def _cut(item: Item[M], length: int, form: Form[M]) -> Item[M]:
    """A tool message whose text is cut to `length` characters and marked; others as they are."""
    text = form.text(item.message) if form.role(item.message) == "tool" else ""
    if len(text) <= length:
        return item
    short = form.with_text(item.message, text[:length] + CUT)
    tokens = form.tokens(short)
    return replace(item, message=short, tokens=tokens) if tokens < item.tokens else item
