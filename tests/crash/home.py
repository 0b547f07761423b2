"""A folder whose store is now and then copied to one of another embedder, as a user who re-embeds does it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from memory_mgr import MemoryConfig, ShortTermConfig
from memory_mgr.engine.reembedding import reembed
from memory_mgr.testing import FakeEmbedder


class Home:
    """Where the store is; a file names the one in use, so that changing to the copy is one step.

    Args:
        folder: Of the stores.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = folder / "current"

    def config(self) -> MemoryConfig:
        """Of the store in use."""
        return self._config(self._current())

    def reembed(self) -> None:
        """Copy the store, which nobody has open, and use the copy from now on; after a kill, called again."""
        current = self._current()
        reembed(self._config(current), self._config(current + 1))
        new = self._mark.with_suffix(".new")
        new.write_text(str(current + 1))
        os.replace(new, self._mark)
        shutil.rmtree(self._place(current))

    def finish(self) -> None:
        """Go on with a copy that a kill interrupted, before anything is written."""
        if self._place(self._current() + 1).exists():
            self.reembed()

    def _current(self) -> int:
        return int(self._mark.read_text()) if self._mark.exists() else 0

    def _place(self, number: int) -> Path:
        return self._folder / f"store-{number}"

    def _config(self, number: int) -> MemoryConfig:
        embedder = FakeEmbedder(dimensions=64 - 16 * (number % 2), name=f"fake-words-{number}")
        return settings(path=self._place(number), embedder=embedder)


def settings(**place: object) -> MemoryConfig:
    """Of a memory that is killed: small windows, so that much moves."""
    fields = {"embedder": FakeEmbedder(), "short_term": ShortTermConfig(max_messages=12)} | place
    return MemoryConfig(episodic={"summary_tokens": 60}, **fields)  # type: ignore[arg-type]
