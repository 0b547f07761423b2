"""Stand-ins that behave the same every time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from memory_mgr.protocols import TextKind, Vectors


class FakeClock:
    """Stands still until told otherwise.

    Args:
        start: The first time it tells (aware).
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """The time it was set to."""
        return self._now

    def advance(self, step: timedelta | float) -> None:
        """Move on by a timedelta or by seconds."""
        self._now += step if isinstance(step, timedelta) else timedelta(seconds=step)


class FakeEmbedder:
    """Texts that share words are near each other (feature hashing); no model, no files.

    Args:
        dimensions: Length of the vectors; >= 2.
        name: What a store remembers it by.

    Attributes:
        texts: How many texts it was given so far.
        calls: How often it was called.
    """

    def __init__(self, dimensions: int = 64, name: str = "fake-words") -> None:
        self.dimensions = dimensions
        self.name = name
        self.texts = 0
        self.calls = 0

    def embed(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Vectors of shape (len(texts), dimensions), rows of length 1."""
        self.calls += 1
        self.texts += len(texts)
        vectors = np.full((len(texts), self.dimensions), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                digest = zlib.crc32(word.encode("utf-8", "replace"))
                row[digest % self.dimensions] += 1 if digest & 1 << 20 else -1
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
