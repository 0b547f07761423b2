"""Who is acting, for the record of changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACTOR: ContextVar[str | None] = ContextVar("memory_mgr_actor", default=None)


def current_actor() -> str | None:
    """Who acts in this context, None if nobody was named."""
    return _ACTOR.get()


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Sign the changes made inside with `name`, in place of `MemoryConfig.actor`.

    It is a context variable: it holds across awaits and in threads that copy the context, as `MemoryManager`'s do.
    """
    token = _ACTOR.set(name)
    try:
        yield
    finally:
        _ACTOR.reset(token)
