"""What can be plugged in. Each protocol has one method, and a plain callable of the same shape does too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from memory_mgr.types import Message

Vectors = NDArray[np.float32]
"""Shape (texts, dimensions), float32, each row of length 1."""

TextKind = Literal["query", "document"]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors.

    May have the attributes `name: str` and `dimensions: int`; else the class name is used and the dimensions
    are found by embedding one word.
    """

    def embed(self, texts: Sequence[str], *, kind: TextKind) -> Any:
        """Vectors of `texts`, anything numpy makes an array of shape (len(texts), dimensions) from."""
        ...


@runtime_checkable
class Summarizer(Protocol):
    """Condenses messages."""

    def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
        """A summary of `messages` that continues `previous`, of at most `max_tokens` tokens."""
        ...


@runtime_checkable
class ImportanceScorer(Protocol):
    """Says how much a text is worth remembering."""

    def score(self, text: str, *, role: str | None = None, previous: str | None = None) -> float:
        """A number in [0, 1]; `previous` is what was said before."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """Counts tokens. May have `exact: bool` (default True)."""

    def count(self, text: str) -> int:
        """Tokens of `text`, >= 0."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Reads the question and each candidate together."""

    def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One relevance a text, higher is better, any scale."""
        ...


@runtime_checkable
class LLM(Protocol):
    """A language model."""

    def complete(self, prompt: str, *, max_tokens: int) -> str:
        """The answer to `prompt`."""
        ...


@runtime_checkable
class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The current time, aware."""
        ...


@runtime_checkable
class Redactor(Protocol):
    """Removes what must not be stored."""

    def redact(self, text: str) -> str:
        """`text` without it."""
        ...
