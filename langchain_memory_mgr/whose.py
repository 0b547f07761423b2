"""Whose memory a run uses: the user and the conversation, from its context or its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memory_mgr import ConfigurationError


@dataclass(frozen=True)
class Whose:
    """Where a run's memory is.

    Attributes:
        user: Label below the memory's namespace; None = the namespace itself.
        conversation_id: The conversation.
    """

    user: str | None
    conversation_id: str


def whose(context: Any, user_key: str | None, conversation_key: str) -> Whose:
    """Reads both names; what stands in the run's context goes before what stands in its configuration.

    Args:
        context: `runtime.context`: a mapping, or an object with attributes.
        user_key: Name of the user's id; None = the memory is one user's.
        conversation_key: Name of the conversation's id.

    Raises:
        ConfigurationError: One is missing, empty, or neither text nor a whole number.
    """
    from langgraph.config import get_config

    configurable = get_config().get("configurable") or {}
    user = None if user_key is None else label(user_key, context, configurable)
    return Whose(user, label(conversation_key, context, configurable))


def running_context() -> Any:
    """The context of the graph that runs, None outside of one."""
    try:
        from langgraph.runtime import get_runtime
    except ImportError:  # langgraph-checkpoint alone has no graphs
        return None
    try:
        runtime: Any = get_runtime()
    except (RuntimeError, KeyError):
        return None
    return getattr(runtime, "context", None)


def label(key: str, context: Any, configurable: Mapping[str, Any]) -> str:
    """The id under `key`, as text.

    Raises:
        ConfigurationError: There is none, or it is empty, or neither text nor a whole number.
    """
    value = optional_label(key, context, configurable)
    if value is None:
        raise ConfigurationError(
            f"this run does not say whose memory it uses: there is no {key!r}. Give it with the run, as "
            f'config={{"configurable": {{{key!r}: ...}}}}, or as a field of context='
        )
    return value


def optional_label(key: str, context: Any, configurable: Mapping[str, Any]) -> str | None:
    """As `label`, None if there is none."""
    own = context.get(key) if isinstance(context, Mapping) else getattr(context, key, None)
    value = configurable.get(key) if own is None else own
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ConfigurationError(f"{key!r} must be text that is not blank, or a whole number, not {value!r:.80}")
    return str(value)
