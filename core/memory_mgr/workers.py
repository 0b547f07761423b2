"""Threads of the async face: one for each call, or one for all that begin in the same turn of an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from memory_mgr.engine.coalescing import ENOUGH
from memory_mgr.errors import ManagerClosedError

P = ParamSpec("P")
R = TypeVar("R")
Begin = Callable[[], Callable[[], R]]
"""Begins a call; what it returns waits for the result."""


@dataclass(slots=True)
class _Call:
    """One that is made together with others.

    Attributes:
        next: What is to be done for it.
        result: What its caller awaits.
        context: Its caller's.
        outcome: What the last step returned.
        error: What a step raised; there are no more then.
    """

    next: Callable[[], Any]
    result: asyncio.Future[Any]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    outcome: Any = None
    error: BaseException | None = None

    def step(self) -> None:
        """Do what is next, in the caller's context."""
        try:
            self.outcome = self.next = self.context.run(self.next)
        except StopIteration as error:  # no future takes it, and the callers after this one would wait for ever
            self.error = RuntimeError("a function plugged into the memory raised StopIteration")
            self.error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - raised to the caller
            self.error = error

    def deliver(self) -> None:
        """Let the caller go on, if it has not been cancelled."""
        if self.result.done():
            return
        if self.error is None:
            self.result.set_result(self.outcome)
        else:
            self.result.set_exception(self.error)


class Workers:
    """A pool of threads that outlives any event loop; shared by a manager and those scoped from it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(ENOUGH, thread_name_prefix="memory-mgr")
        self._beginning: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Call]] = WeakKeyDictionary()

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `call` in a worker thread, in the caller's context."""
        context = contextvars.copy_context()
        return await self._submitted(functools.partial(context.run, call, *args, **kwargs))

    async def run_with_others(self, begin: Begin[R]) -> R:
        """As `run`, in one thread with what else begins in this turn of the event loop: all begin before one ends.

        So they can be processed together, and cost one thread. None must have to wait for anything to begin.
        """
        loop = asyncio.get_running_loop()
        call = _Call(begin, loop.create_future())
        waiting = self._beginning.setdefault(loop, [])
        if not waiting:
            loop.call_soon(self._start, loop)
        waiting.append(call)
        result: R = await call.result
        return result

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        calls = [call for call in self._beginning.pop(loop) if not call.result.done()]
        for start in range(0, len(calls), ENOUGH):
            self._make(calls[start : start + ENOUGH])

    def _make(self, calls: Sequence[_Call]) -> None:
        try:
            made = self._submitted(functools.partial(_steps, calls))
        except ManagerClosedError as error:
            for call in calls:
                call.result.set_exception(error)
        else:
            made.add_done_callback(lambda _: _deliver(calls))

    def _submitted(self, work: Callable[[], R]) -> asyncio.Future[R]:
        """As soon as there is a thread, what `work` returns.

        Raises:
            ManagerClosedError: There will be none.
        """
        try:
            return asyncio.get_running_loop().run_in_executor(self._pool, work)
        except RuntimeError as error:
            raise ManagerClosedError from error

    def close(self) -> None:
        """Let the threads end; those at work finish first."""
        self._pool.shutdown(wait=False)


def _steps(calls: Sequence[_Call]) -> None:
    """Begin all, then wait for the end of each."""
    for call in calls:
        call.step()
    for call in calls:
        if call.error is None:
            call.step()


def _deliver(calls: Sequence[_Call]) -> None:
    for call in calls:
        call.deliver()
