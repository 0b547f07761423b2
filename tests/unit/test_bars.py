"""Long work shows a bar with its rate on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, suppress
from pathlib import Path

import pytest

from memory_mgr import MemoryConfig, NewMemory, SyncMemoryManager
from memory_mgr.bars import progress_bar
from memory_mgr.stores import repository
from memory_mgr.testing import FakeEmbedder


class Screen(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self) -> bool:
        """So that bars are drawn on it."""
        return True


@pytest.fixture(autouse=True)
def hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def work(steps: int = 200) -> None:
    """Tell a bar of this many steps."""
    with progress_bar("Working") as told:
        for step in range(1, steps + 1):
            told(step, steps)


def test_a_terminal_shows_what_is_done_how_fast_and_how_long_it_takes() -> None:
    """Title, steps, steps a second and the remaining time."""
    with redirect_stderr(Screen()) as screen:
        work()
    for shown in ("Working", "200/200", "/s", "0:00:00"):
        assert shown in screen.getvalue()


def test_no_terminal_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """Output into a file or a pipe stays clean."""
    work()
    assert capsys.readouterr().err == ""


def test_short_work_shows_no_bar() -> None:
    """Work that may show a bar only after a time, and is through before, prints nothing."""
    with redirect_stderr(Screen()) as screen, progress_bar("Working", after_seconds=60) as told:
        told(1, 1)
    assert screen.getvalue() == ""


def test_work_inside_work_shows_no_second_bar() -> None:
    """The outer bar stays alone, and after it there may be another."""
    with redirect_stderr(Screen()) as screen:
        with progress_bar("Outer"):
            work()
        assert "Outer" in screen.getvalue()
        assert "Working" not in screen.getvalue()
        work()
        assert "Working" in screen.getvalue()


def test_work_that_fails_leaves_the_terminal_as_it_was() -> None:
    """The cursor is shown again and the next bar may come."""
    with redirect_stderr(Screen()) as screen:
        with suppress(RuntimeError), progress_bar("Failing"):
            raise RuntimeError
        assert screen.getvalue().rfind("\x1b[?25h") > screen.getvalue().rfind("\x1b[?25l")
        work()
    assert "Working" in screen.getvalue()


@pytest.mark.parametrize(("seconds", "shows"), [(0.0, True), (60.0, False)])
def test_a_catalog_that_is_rebuilt_at_opening_shows_a_bar_if_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, shows: bool
) -> None:
    """The first use of a store whose catalog is gone tells that it is being made anew."""
    monkeypatch.setattr(repository, "_BAR_AFTER_SECONDS", seconds)
    config = MemoryConfig(path=tmp_path, namespace="ann", embedder=FakeEmbedder())
    with SyncMemoryManager(config) as memory:
        memory.add_memories([NewMemory(content=f"note {n}") for n in range(20)], "long_term")
    for file in tmp_path.rglob("*.sqlite3"):
        if file.parent.name != "chroma":
            file.unlink()
    with redirect_stderr(Screen()) as screen, SyncMemoryManager(config) as memory:
        assert memory.stats().counts["long_term"] == 20
    assert ("Rebuilding the catalog of ann" in screen.getvalue()) is shows
