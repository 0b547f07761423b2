"""What happened, told to `MemoryConfig.on_event`: which call, whose, how long, how many. Never any content."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from memory_mgr.errors import ConfigurationError
from memory_mgr.types import Context, ImportReport, MemoryEntry, Namespace, UpkeepReport

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One call that ended.

    Attributes:
        name: "add", "put", "update", "supersede", "delete", "forget", "search", "context", "summary", "prune",
            "consolidate", "undo", "export" or "import".
        namespace: Whose memory.
        started_at: When the call began (aware, UTC, by the machine's clock).
        seconds: How long it took.
        counts: How many: entries, tokens and such, by name; empty if the call failed.
        error: Name of the class of the error that the call raised, None if it did not.
    """

    name: str
    namespace: Namespace
    started_at: datetime
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None


Hook: TypeAlias = Callable[[Event], object]
"""Called in the thread of the call when it is done: be quick. What it raises is logged and dropped."""


class Observer:
    """Tells a hook about the calls on one namespace.

    Args:
        hook: `MemoryConfig.on_event`; None = nobody wants to know.
        namespace: Whose memory.

    Raises:
        ConfigurationError: The hook cannot be called, or would have to be awaited.
    """

    __slots__ = ("hook", "namespace")

    def __init__(self, hook: Hook | None, namespace: Namespace) -> None:
        if hook is not None and (not callable(hook) or _awaitable(hook)):
            raise ConfigurationError(f"on_event must be a plain function of one Event, not {hook!r:.80}")
        self.hook = hook
        self.namespace = namespace

    def tell(
        self, name: str, started_at: datetime, seconds: float, counts: Mapping[str, int], error: str | None
    ) -> None:
        """Call the hook; whatever it raises stays here."""
        if self.hook is None:
            return
        event = Event(
            name=name, namespace=self.namespace, started_at=started_at, seconds=seconds, counts=counts, error=error
        )
        try:
            self.hook(event)
        except Exception:
            log.warning("the on_event hook failed on %r", name, exc_info=True)


class Observed(Protocol):
    """Has calls that are told about."""

    _observer: Observer


S = TypeVar("S", bound=Observed)


class _Watch:
    """One call from its beginning to its end."""

    def __init__(self, observer: Observer, name: str) -> None:
        self._observer = observer
        self._name = name
        self._started_at = datetime.now(UTC)
        self._start = time.perf_counter()

    def begins(self, call: Callable[[], R]) -> R:
        """What `call` returns is not the end; an error is."""
        try:
            return call()
        except BaseException as error:
            self._tell({}, type(error).__name__)
            raise

    def ends(self, call: Callable[[], R]) -> R:
        """What `call` returns is the result."""
        result = self.begins(call)
        self._tell(_counts(result), None)
        return result

    def _tell(self, counts: Mapping[str, int], error: str | None) -> None:
        self._observer.tell(self._name, self._started_at, time.perf_counter() - self._start, counts, error)


def observed(name: str) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Let `on_event` know of each call of a method under this name."""

    def around(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if self._observer.hook is None:
                return method(self, *args, **kwargs)
            return _Watch(self._observer, name).ends(lambda: method(self, *args, **kwargs))

        return call

    return around


def observed_to_its_end(
    name: str,
) -> Callable[[Callable[Concatenate[S, P], Callable[[], R]]], Callable[Concatenate[S, P], Callable[[], R]]]:
    """As `observed`, of a method that begins a call and returns what waits for its result."""

    def around(begin: Callable[Concatenate[S, P], Callable[[], R]]) -> Callable[Concatenate[S, P], Callable[[], R]]:
        @functools.wraps(begin)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
            if self._observer.hook is None:
                return begin(self, *args, **kwargs)
            watch = _Watch(self._observer, name)
            end = watch.begins(lambda: begin(self, *args, **kwargs))
            return lambda: watch.ends(end)

        return call

    return around


def _counts(result: object) -> dict[str, int]:
    """How many a call was about, from what it returned."""
    counts: dict[str, int] = {}
    match result:
        case MemoryEntry(kind="summary"):
            counts = {"entries": 1, "summarized": len(result.derived_from)}
        case MemoryEntry():
            counts = {"entries": 1}
        case list():
            counts = {"entries": len(result)}
        case int():
            counts = {"entries": result}
        case dict():
            counts = {"entries": sum(result.values())}
        case Context():
            counts = {"entries": len(result.entries), "tokens": result.tokens}
        case UpkeepReport():
            counts = {"actions": len(result.actions), "deleted": result.deleted}
        case ImportReport():
            counts = {"added": result.added, "replaced": result.replaced}
    return counts


def _awaitable(hook: object) -> bool:
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(getattr(hook, "__call__", None))  # noqa: B004
