"""What a failing memory does to a chat: it is reported in this package's log, and the chat goes on."""

from __future__ import annotations

import logging

from memory_mgr import failures
from memory_mgr.failures import OnError

__all__ = ["OnError", "goes_on", "log"]
log = logging.getLogger("llamaindex_memory_mgr")


def goes_on(error: Exception, on_error: OnError, what: str) -> bool:
    """As `memory_mgr.failures.goes_on`."""
    return failures.goes_on(error, on_error, what, log)
