"""Work that is due after some adds or some time, done in the background by one thread that ends with close."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from memory_mgr.types import Namespace

log = logging.getLogger(__name__)
Work = Callable[[Namespace, Callable[[], bool]], bool]
"""Does what is due for a namespace until it is told to stop; False if there is more to do."""


@dataclass(slots=True)
class _Waiting:
    """What a namespace has waiting: adds, and since when."""

    adds: int
    since: float


class Scheduler:
    """Does `work` in the background. Thread-safe; its thread starts with the first add.

    Args:
        work: What is done.
        after_adds: It is due when so many were added; None = adds do not count.
        after_seconds: It is due when the first add has waited so long; None = time does not count.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        work: Work,
        *,
        after_adds: int | None,
        after_seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._after_adds = after_adds
        self._after_seconds = after_seconds
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: dict[Namespace, _Waiting] = {}
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def enabled(self) -> bool:
        """Whether anything is ever due."""
        return self._after_adds is not None or self._after_seconds is not None

    def added(self, namespace: Namespace, count: int) -> None:
        """Note that something was added; returns at once."""
        if not self.enabled:
            return
        with self._changed:
            waiting = self._waiting.setdefault(namespace, _Waiting(0, self._clock()))
            waiting.adds += count
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="memory-mgr-consolidate", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Begin nothing more; returns when what is being done has ended. Twice does no harm."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (namespace := self._next()) is not None:
            try:
                more = not self._work(namespace, lambda: self._stopped)
            except Exception:
                log.warning("consolidating %s in the background failed", "/".join(namespace), exc_info=True)
                continue
            if more:
                self.added(namespace, self._after_adds or 1)

    def _next(self) -> Namespace | None:
        """The next namespace that is due, waited for; None when closed."""
        with self._changed:
            while not self._stopped:
                now = self._clock()
                left = {namespace: self._left(waiting, now) for namespace, waiting in self._waiting.items()}
                soonest = min(left, key=lambda namespace: left[namespace], default=None)
                if soonest is not None and left[soonest] <= 0:
                    del self._waiting[soonest]
                    return soonest
                timeout = None if soonest is None else left[soonest]
                self._changed.wait(None if timeout == float("inf") else timeout)
            return None

    def _left(self, waiting: _Waiting, now: float) -> float:
        """Seconds until it is due; 0 or less if it is, infinity if only more adds make it so."""
        if self._after_adds is not None and waiting.adds >= self._after_adds:
            return 0.0
        return float("inf") if self._after_seconds is None else waiting.since + self._after_seconds - now
