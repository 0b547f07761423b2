"""Progress bars for long work: on standard error, and only if that is a terminal and rich is installed."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all)."""
_shown = threading.Lock()
"""Held by the bar on the screen; work inside other work shows none of its own."""


@contextmanager
def progress_bar(title: str, *, after_seconds: float = 0.0) -> Iterator[Progress]:
    """A bar with the rate and the time that remains, gone when the work is done.

    Args:
        title: What is being done.
        after_seconds: Work that is through before shows no bar.

    Yields:
        What to tell the progress to; it does nothing where there is no bar.
    """
    bar = _bar()
    if bar is None or not _shown.acquire(blocking=False):
        yield lambda done, total: None
        return
    task, began = bar.add_task(title, total=None), time.monotonic()

    def start_if_due() -> None:
        if not bar.live.is_started and time.monotonic() - began >= after_seconds:
            bar.start()

    def tell(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        start_if_due()

    try:
        start_if_due()
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()
        _shown.release()


def _bar() -> Bar | None:
    """One that is not on the screen yet."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text
    except ImportError:
        return None

    class Rate(ProgressColumn):
        """Steps a second."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s", "progress.data.speed")

    console = Console(stderr=True)
    if not console.is_terminal:
        return None
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)
