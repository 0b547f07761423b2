"""What a manager and those scoped from it share: the store and the plugged-in pieces."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from memory_mgr.config import MemoryConfig
from memory_mgr.defaults.adapters import (
    as_clock,
    as_embedder,
    as_llm,
    as_reranker,
    as_summarizer,
    as_token_counter,
)
from memory_mgr.defaults.asking import BoundedSummarizer, Model
from memory_mgr.defaults.judge import ModelJudge
from memory_mgr.defaults.model_summarizer import ModelSummarizer
from memory_mgr.defaults.summarizer import ExtractiveSummarizer
from memory_mgr.engine.beside import Beside
from memory_mgr.engine.importance import Importance
from memory_mgr.engine.intake import Intake
from memory_mgr.engine.recalled import Recalled
from memory_mgr.engine.scheduling import Scheduler
from memory_mgr.engine.shared import SharedStore
from memory_mgr.engine.write_behind import Queued, WriteBehind
from memory_mgr.engine.writing import Writer
from memory_mgr.errors import ConfigurationError, ManagerClosedError, StoreUnavailableError, UsageError
from memory_mgr.protocols import Summarizer, TextKind, Vectors
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.repository import Repository
from memory_mgr.types import MemoryType, Namespace, NewMemory

log = logging.getLogger(__name__)


class Runtime:
    """Opened once by a manager. Thread-safe.

    Args:
        config: The settings.
    """

    def __init__(self, config: MemoryConfig) -> None:
        self.config = config
        self.clock = as_clock(config.clock)
        self.embedder = as_embedder(config.embedder, cache=config.embedding_cache)
        self.counter = as_token_counter(config.token_counter)
        self.importance = Importance(config, self.now)
        self.reranker = None if config.reranker is None else as_reranker(config.reranker)
        self.model = _model(config)
        self.judge = ModelJudge(self.model) if self.model is not None and config.model.consolidates else None
        self.summarizer = self._summarizer()
        self.space = EmbeddingSpace(self.embedder.name, self.embedder.dimensions)
        self.intake = Intake(config)
        self.queue = _queue(config)
        self._shared = self._acquired()
        self.store = self._shared.store
        self.pool = self._shared.pool
        self.recalled = Recalled()
        self.beside = Beside()
        self.writer = Writer(
            self.pool,
            self.embed,
            self._scores,
            self.now,
            config.write_batch,
            self.intake,
            self.beside,
            self._stored,
            score_apart=self.importance.waits,
        )
        self.background: Scheduler | None = None
        self._process = os.getpid()
        self._busy: set[tuple[object, ...]] = set()
        self._busy_lock = threading.Lock()
        self.closed = False

    def _acquired(self) -> SharedStore:
        """The store, taken last of what can fail, so that a manager that cannot be made holds nothing."""
        try:
            return SharedStore.acquire(self.config, self.space, lambda texts: self.embed(texts, "document"))
        except BaseException:
            if self.queue is not None:
                self.queue.close()
            raise

    def _summarizer(self) -> Summarizer:
        how = self.config.model
        given = self.config.summarizer
        if given is not None:
            return BoundedSummarizer(as_summarizer(given), how.timeout_seconds)
        extractive = ExtractiveSummarizer(self.counter)
        if self.model is None:
            return extractive
        return ModelSummarizer(self.model, extractive, self.counter, chunk_tokens=how.chunk_tokens)

    def check_open(self) -> None:
        """Raise if the manager was closed, or came here by a fork.

        Raises:
            ManagerClosedError: It was closed.
            UsageError: It was opened by another process.
        """
        if self.closed:
            raise ManagerClosedError
        if os.getpid() != self._process:
            raise UsageError(
                f"this memory was opened by process {self._process}, of which this one is a fork; neither Chroma nor "
                "SQLite survives that: open a memory of its own in each process"
            )

    @contextmanager
    def exclusively(self, *key: object) -> Iterator[bool]:
        """Claim a piece of slow work: True for the one who got it, False for those who come meanwhile."""
        with self._busy_lock:
            mine = key not in self._busy
            self._busy.add(key)
        try:
            yield mine
        finally:
            if mine:
                with self._busy_lock:
                    self._busy.discard(key)

    def now(self) -> datetime:
        """The current time in UTC."""
        return self.clock.now().astimezone(UTC)

    def embed(self, texts: Sequence[str], kind: TextKind) -> Vectors:
        """Unit vectors of texts, shape (len(texts), dimensions)."""
        return self.embedder.embed(texts, kind=kind)

    def _scores(
        self, namespace: Namespace, additions: Sequence[tuple[MemoryType, Sequence[NewMemory]]]
    ) -> list[list[float]]:
        with self.pool.lease(namespace) as repository:
            return self.importance.of_several(additions, repository)

    def _stored(self, namespace: Namespace, count: int) -> None:
        if self.background is not None:
            self.background.added(namespace, count)

    @contextmanager
    def lease(self, namespace: Namespace) -> Iterator[Repository]:
        """The open namespace, while it is used.

        Raises:
            ManagerClosedError: The manager was closed.
        """
        self.check_open()
        self._try_to_replay()
        with self.pool.lease(namespace) as repository:
            yield repository

    def _try_to_replay(self) -> None:
        """Store what is queued, if the store is back."""
        if self.queue is None or not len(self.queue) or self.queue.is_resting:
            return
        try:
            self.queue.replay(self._replayed)
        except StoreUnavailableError as error:
            log.info("%d messages stay queued: %s", len(self.queue), error)

    def _replayed(self, queued: Queued) -> None:
        self.writer.add(queued.namespace, MemoryType.SHORT_TERM, queued.news, None)

    def flush(self) -> None:
        """Write what was only noted or is queued."""
        if self.queue is not None:
            self.queue.replay(self._replayed)
        for repository in self.pool.open_repositories():
            repository.flush()

    def close(self) -> None:
        """End what runs in the background, then let go of the store; twice does no harm."""
        if self.background is not None:
            self.background.close()
        if not self.closed:
            self.closed = True
            if self.queue is not None:
                self.queue.close()
            self.beside.close()
            self._shared.release()


def _queue(config: MemoryConfig) -> WriteBehind | None:
    """The queue for the time the store is unavailable, if there shall be one."""
    if config.on_unavailable == "raise":
        return None
    folder = config.catalog_path or (None if config.in_memory else config.path)
    path = config.queue_path or (None if folder is None else folder / "queue.sqlite3")
    if path is None:
        raise ConfigurationError("on_unavailable='queue' needs a file to queue in: set queue_path or catalog_path")
    return WriteBehind(path, config.queue_limit, config.retry.longest_wait_seconds)


def _model(config: MemoryConfig) -> Model | None:
    """The language model, if there is one, asked as the settings say."""
    if config.llm is None:
        return None
    how = config.model
    return Model(as_llm(config.llm), timeout_seconds=how.timeout_seconds, attempts=how.attempts)
