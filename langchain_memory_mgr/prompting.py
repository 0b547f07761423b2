"""The prompt of one model call: system message with recalled text at its end, and the turns that fit beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import BaseMessage, SystemMessage

from langchain_memory_mgr.counting import FRAMING, PRIMING, MessageCounter
from langchain_memory_mgr.trimming import Item, MessageForm, Recall, beside_recalled
from memory_mgr.policy import trimming

log = logging.getLogger(__name__)
_BETWEEN = "\n\n"
_TRIES = 4
"""Joined, texts may have a token more than they have apart; then less is put in."""


@dataclass(frozen=True)
class Budget:
    """Tokens of a prompt.

    Attributes:
        tokens: Of all that is sent.
        memory: Of recalled text at most.
    """

    tokens: int
    memory: int


def prompted(
    request: ModelRequest[Any], items: Sequence[Item], budget: Budget, recall: Recall, counter: MessageCounter
) -> ModelRequest[Any]:
    """The request as it is sent; over the budget only if system prompt, tools and last user message are.

    Args:
        request: As the agent made it.
        items: The messages to choose from.
        budget: What it must fit in.
        recall: Gives the text to remember by.
        counter: Counts what is sent.
    """
    system = request.system_message
    room = budget.tokens - PRIMING - counter.tools(_definitions(request))
    left = room - _size(system, counter)
    for _ in range(_TRIES):
        sent, recalled = beside_recalled(items, left, budget.memory, _joining(recall), MessageForm(counter.message))
        told = with_recalled(system, recalled)
        over = _size(told, counter) + trimming.size(sent) - room
        if over <= 0 or not recalled:
            break
        left -= over
    if over > 0:
        log.warning("system prompt, tools and the newest message are %d tokens over %d", over, budget.tokens)
    messages: list[Any] = [item.message for item in sent]
    return request.override(system_message=told, messages=messages)


def with_recalled(system: SystemMessage | None, recalled: str) -> SystemMessage | None:
    """The system message with `recalled` behind everything else, so that what stands before it can be cached."""
    if not recalled:
        return system
    if system is None or not system.content:
        return SystemMessage(recalled)
    content = system.content
    if isinstance(content, str):
        return system.model_copy(update={"content": content + _BETWEEN + recalled})
    return system.model_copy(update={"content": [*content, {"type": "text", "text": _BETWEEN + recalled}]})


def _joining(recall: Recall) -> Recall:
    """Leaves room for what stands around recalled text."""
    return lambda sent, tokens: recall(sent, tokens - FRAMING) if tokens > FRAMING else ""


def _size(message: BaseMessage | None, counter: MessageCounter) -> int:
    return 0 if message is None else counter.message(message)


def _definitions(request: ModelRequest[Any]) -> list[Any]:
    """The tools, and the schemas of a structured answer, which are sent like tools."""
    wanted: Any = request.response_format
    if wanted is None:
        return request.tools
    specs = ToolStrategy(getattr(wanted, "schema", wanted)).schema_specs
    functions = [{"name": s.name, "description": s.description, "parameters": s.json_schema} for s in specs]
    return [*request.tools, *({"type": "function", "function": function} for function in functions)]
