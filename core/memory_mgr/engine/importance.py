"""Importance of what is stored: the caller's, else the plugged-in scorer's, else the heuristic's."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from memory_mgr.config import MemoryConfig
from memory_mgr.defaults.adapters import as_importance_scorer
from memory_mgr.defaults.asking import Bounded
from memory_mgr.engine.drafts import GIVEN
from memory_mgr.errors import ExtensionError, ScoringError
from memory_mgr.policy.importance import ImportanceModel, WordCounts, informative_words
from memory_mgr.protocols import ImportanceScorer
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.surroundings import occurrences, said_before
from memory_mgr.types import MemoryEntry, MemoryType, NewMemory

log = logging.getLogger(__name__)


class _Said(Protocol):
    """What is scored: something said, by somebody."""

    @property
    def content(self) -> str: ...
    @property
    def speaker(self) -> str | None: ...


class Importance:
    """Scores texts in [0, 1]; a scorer that fails or hangs never keeps a memory from being stored.

    Args:
        config: Names the scorer, or the settings of the heuristic.
        now: Tells the time.
    """

    def __init__(self, config: MemoryConfig, now: Callable[[], datetime]) -> None:
        self._plugged = None if config.importance is None else as_importance_scorer(config.importance)
        self._bounded = Bounded("the importance scorer", config.model.timeout_seconds)
        self._heuristic = ImportanceModel(config.importance_model)
        self._pause = timedelta(hours=config.recall.context_gap_hours)
        self._now = now

    @property
    def waits(self) -> bool:
        """Whether a plugged-in scorer is asked, which may take its time."""
        return self._plugged is not None

    def of_new(self, news: Sequence[NewMemory], tier: MemoryType, repository: Repository) -> list[float]:
        """One score each, in the light of what was said before it and of what words the namespace knows."""
        return self.of_several([(tier, news)], repository)[0]

    def of_several(
        self, additions: Sequence[tuple[MemoryType, Sequence[NewMemory]]], repository: Repository
    ) -> list[list[float]]:
        """As `of_new` for several callers, one after the other; words are looked up once for all."""
        unscored = [new for _, news in additions for new in news if new.importance_score is None]
        known = self._known_words(unscored, repository) if unscored and self._plugged is None else None
        frequency = WordCounts(known)
        return [self._of_caller(tier, news, repository, frequency) for tier, news in additions]

    def _of_caller(
        self, tier: MemoryType, news: Sequence[NewMemory], repository: Repository, frequency: WordCounts
    ) -> list[float]:
        scores = []
        for place, new in enumerate(news):
            if new.importance_score is not None:
                scores.append(float(new.importance_score))
                continue
            before, after = _around(news, place)
            if before is None and new.source is not None:
                before = self._stored_before(new, tier, repository)
            scores.append(self._scored(new, _role(new), before, after, frequency))
            frequency.add(new.content)
        return scores

    def once_answered(self, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
        """Messages scored again now that it is known how they were taken (only by the heuristic: it is free)."""
        if self._plugged is not None:
            return list(entries)
        return [
            entry
            if entry.details.get(GIVEN)
            else entry.with_changes(importance_score=self._scored(entry, _role(entry), *_around(entries, place)))
            for place, entry in enumerate(entries)
        ]

    def explained(
        self, repository: Repository, text: str, *, role: str | None, previous: str | None
    ) -> dict[str, float]:
        """The parts of the heuristic's score in log-odds, by feature."""
        frequency = WordCounts(_frequency(repository, informative_words(text)))
        return self._heuristic.explain(text, role=role, previous=previous, frequency=frequency)

    def _known_words(self, news: Sequence[NewMemory], repository: Repository) -> Callable[[str], int]:
        return _frequency(repository, [word for new in news for word in informative_words(new.content)])

    def _stored_before(self, new: NewMemory, tier: MemoryType, repository: Repository) -> _Said | None:
        source, moment = str(new.source), new.timestamp or self._now()
        return repository.read(lambda catalog: said_before(catalog, tier, source, moment, self._pause))

    def _scored(
        self,
        said: _Said,
        role: str | None,
        before: _Said | None,
        after: _Said | None,
        frequency: WordCounts | None = None,
    ) -> float:
        previous = None if before is None else before.content
        if self._plugged is not None:
            try:
                return self._by_scorer(self._plugged, said.content, role, previous)
            except ExtensionError as error:
                log.warning("%s; the heuristic's importance is used instead", error)
        return self._heuristic.score(
            said.content,
            role=role,
            previous=previous,
            speaker=said.speaker,
            previous_speaker=None if before is None else before.speaker,
            following=None if after is None else after.content,
            frequency=frequency,
        )

    def _by_scorer(self, scorer: ImportanceScorer, text: str, role: str | None, previous: str | None) -> float:
        """The plugged-in scorer's number, brought into [0, 1].

        Raises:
            ExtensionError: It failed, hung, or returned no finite number.
        """
        try:
            score = float(self._bounded.call(lambda: scorer.score(text, role=role, previous=previous)))
        except ExtensionError:
            raise
        except Exception as error:
            raise ScoringError(f"the importance scorer failed: {error!r}") from error
        if not math.isfinite(score):
            raise ScoringError(f"the importance scorer returned {score!r}, not a number in [0, 1]")
        return min(1.0, max(0.0, score))


def _frequency(repository: Repository, words: Sequence[str]) -> Callable[[str], int]:
    known = repository.read(lambda catalog: occurrences(catalog, words))
    return lambda word: known.get(word, 0)


def _around(said: Sequence[NewMemory] | Sequence[MemoryEntry], place: int) -> tuple[_Said | None, _Said | None]:
    """What was said right before and after, in the same stream."""
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
