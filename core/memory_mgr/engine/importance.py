"""Importance of what is stored: the caller's, else the plugged-in scorer's, else the heuristic's."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Protocol

from memory_mgr.config import MemoryConfig
from memory_mgr.defaults.adapters import as_importance_scorer
from memory_mgr.policy.importance import ImportanceModel
from memory_mgr.types import MemoryEntry, NewMemory

log = logging.getLogger(__name__)
FALLBACK = 0.5
"""Importance when the scorer fails: neither kept nor dropped for it."""


class _Said(Protocol):
    """What is scored: something said, in a stream."""

    @property
    def content(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def speaker(self) -> str | None: ...


class Importance:
    """Scores texts in [0, 1]; a scorer that fails never keeps a memory from being stored.

    Args:
        config: Names the scorer, or the settings of the heuristic.
    """

    def __init__(self, config: MemoryConfig) -> None:
        self._plugged = None if config.importance is None else as_importance_scorer(config.importance)
        self._heuristic = ImportanceModel(config.importance_model)

    def of_new(self, news: Sequence[NewMemory]) -> list[float]:
        """One score each; neighbours in the sequence that share a source are each other's context."""
        return [
            self._scored(new, _role(new), *_around(news, place))
            if new.importance_score is None
            else new.importance_score
            for place, new in enumerate(news)
        ]

    def once_answered(self, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
        """Messages scored again now that it is known how they were taken (only by the heuristic: it is free)."""
        if self._plugged is not None:
            return list(entries)
        return [
            entry.with_changes(importance_score=self._scored(entry, _role(entry), *_around(entries, place)))
            for place, entry in enumerate(entries)
        ]

    def _scored(self, said: _Said, role: str | None, before: _Said | None, after: _Said | None) -> float:
        previous = None if before is None else before.content
        if self._plugged is None:
            return self._heuristic.score(
                said.content,
                role=role,
                previous=previous,
                speaker=said.speaker,
                previous_speaker=None if before is None else before.speaker,
                following=None if after is None else after.content,
            )
        try:
            score = float(self._plugged.score(said.content, role=role, previous=previous))
        except Exception:
            log.warning("the importance scorer failed; %s is used instead", FALLBACK, exc_info=True)
            return FALLBACK
        if not math.isfinite(score):
            log.warning("the importance scorer returned %r; %s is used instead", score, FALLBACK)
            return FALLBACK
        return min(1.0, max(0.0, score))


def _around(said: Sequence[NewMemory] | Sequence[MemoryEntry], place: int) -> tuple[_Said | None, _Said | None]:
    """What was said before and after, in the same stream."""
    source = said[place].source
    before = said[place - 1] if place > 0 else None
    after = said[place + 1] if place + 1 < len(said) else None
    same = (
        other if other is not None and source is not None and other.source == source else None
        for other in (before, after)
    )
    first, second = same
    return first, second


def _role(said: NewMemory | MemoryEntry) -> str | None:
    role = (said.details or {}).get("role")
    return role if isinstance(role, str) else None
