"""Work of the memory's own, kept out of the run it is done in."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from langchain_core.runnables.config import var_child_runnable_config

P = ParamSpec("P")
R = TypeVar("R")


def apart(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call outside the run that is going on.

    A model that the memory asks (for a summary, say) would else take the callbacks of the chain or graph around it
    for its own, and its tokens would be streamed to the user as if they were the answer.
    """
    context = contextvars.copy_context()
    context.run(var_child_runnable_config.set, None)
    return context.run(call, *args, **kwargs)
