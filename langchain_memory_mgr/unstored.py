"""Which messages of an agent's state have still to be remembered.

The whole history is in the state at every run, so most of it is remembered already. Messages are known by their
ids; but an application without a checkpointer sends the history again and again, and LangGraph gives messages that
come without an id a new one each time, so those are known by what they say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_memory_mgr.messages import answered_call, as_langchain, calls_of, role_of
from memory_mgr import Message


def unstored(
    messages: Sequence[BaseMessage], known: Collection[str | None], stored: Callable[[], Sequence[Message]]
) -> list[BaseMessage]:
    """The messages after those that are remembered; never one before, which may have been forgotten on purpose.

    Args:
        messages: Of the state, oldest first, each with an id.
        known: Ids of those that are remembered.
        stored: Gives the conversation as it is remembered, oldest first; asked for only if it is needed.
    """
    said = [message for message in messages if not is_synthetic(message)]
    last = max((place for place, message in enumerate(said) if message.id in known), default=-1)
    if last >= 0:
        return said[last + 1 :]
    history = said[: start_of_turn(said)]
    return said[_repeated(history, stored()) :] if history else said


def start_of_turn(messages: Sequence[BaseMessage]) -> int:
    """Where the last thing the user said stands; 0 if nothing."""
    return max((place for place, message in enumerate(messages) if is_users(message)), default=0)


def is_users(message: BaseMessage) -> bool:
    """Whether a user said it."""
    return role_of(message) == "user" and not is_synthetic(message)


def is_synthetic(message: BaseMessage) -> bool:
    """Whether nobody said it: system prompts, and summaries that another middleware has put in (`lc_source`)."""
    return role_of(message) == "system" or (
        isinstance(message, HumanMessage) and "lc_source" in message.additional_kwargs
    )


def _repeated(history: Sequence[BaseMessage], stored: Sequence[Message]) -> int:
    """How many messages of `history` repeat the end of what is stored, word for word."""
    end = [_fingerprint(as_langchain(message)) for message in stored[-len(history) :]]
    told = [_fingerprint(message) for message in history]
    return next((length for length in range(len(end), 0, -1) if told[:length] == end[-length:]), 0)


def _fingerprint(message: BaseMessage) -> str:
    calls = [(call.name, call.arguments) for call in calls_of(message)] if isinstance(message, AIMessage) else []
    return json.dumps([role_of(message), message.content, calls, answered_call(message)], default=str, sort_keys=True)
