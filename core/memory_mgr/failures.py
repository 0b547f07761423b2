"""What a failing memory does to a chat: it is reported, and the chat goes on. For adapters."""

from __future__ import annotations

import logging
from typing import Literal

from memory_mgr.errors import (
    ConfigurationError,
    EmbeddingMismatchError,
    InvalidInputError,
    MissingDependencyError,
    SchemaVersionError,
    UsageError,
)

OnError = Literal["warn", "raise"]
_MISTAKES = (
    ConfigurationError,
    EmbeddingMismatchError,
    InvalidInputError,
    MissingDependencyError,
    SchemaVersionError,
    UsageError,
)
"""Going on would hide these for ever: they do not pass by themselves."""


def goes_on(error: Exception, on_error: OnError, what: str, log: logging.Logger) -> bool:
    """Whether to go on after `error`; says so in the log if yes.

    Args:
        error: What a call to the memory raised.
        on_error: "warn": go on after failures of the store, the embedder or a model; "raise": never.
        what: What could not be done, and what happens instead.
        log: The adapter's.
    """
    if on_error == "raise" or isinstance(error, _MISTAKES):
        return False
    log.warning("%s: %s", what, error, exc_info=error)
    return True
