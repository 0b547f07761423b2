"""Messages that could not be stored yet, on disk, in order, until the store is back."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from memory_mgr.errors import InvalidInputError, StoreUnavailableError
from memory_mgr.types import Namespace, NewMemory

log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, conversation TEXT NOT NULL,
    size INTEGER NOT NULL, messages TEXT NOT NULL, refused TEXT
)
"""


class Queued(NamedTuple):
    """Messages that were added together.

    Attributes:
        number: Their place.
        namespace: Whose they are.
        conversation_id: Of which conversation.
        news: The messages.
    """

    number: int
    namespace: Namespace
    conversation_id: str
    news: list[NewMemory]


class WriteBehind:
    """A queue in a SQLite file. Thread-safe.

    What is queued has an id and a time, so storing it twice is storing it once.

    Args:
        path: The file, made if it is not there.
        limit: Messages at most.
        pause_seconds: How long the store is left alone after it was found unavailable.
        clock: Seconds that only go forward.

    Raises:
        StoreUnavailableError: The file cannot be used.
    """

    def __init__(
        self, path: Path, limit: int, pause_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._limit = limit
        self._pause = pause_seconds
        self._clock = clock
        self._not_before = 0.0
        self._lock = threading.RLock()
        self._replaying = False
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
        self._size = self._counted()

    def __len__(self) -> int:
        return self._size

    @property
    def is_resting(self) -> bool:
        """Whether the store was unavailable a moment ago."""
        return self._clock() < self._not_before

    def rest(self) -> None:
        """The store is unavailable: leave it alone for a while."""
        self._not_before = self._clock() + self._pause

    def put(self, namespace: Namespace, conversation_id: str, news: Sequence[NewMemory]) -> None:
        """Keep messages that have ids and times; they are on disk when this returns.

        Raises:
            StoreUnavailableError: The queue is full, or its file cannot be written.
        """
        with self._lock:
            if self._size + len(news) > self._limit:
                raise StoreUnavailableError(
                    f"the store is unavailable and {self._size} messages wait for it in {self._path}, at most "
                    f"{self._limit} may; bring the store back or raise queue_limit"
                )
            row = (json.dumps(namespace), conversation_id, len(news), json.dumps([_encoded(new) for new in news]))
            with self._explained():
                self._db.execute("INSERT INTO queue (namespace, conversation, size, messages) VALUES (?, ?, ?, ?)", row)
            self._size += len(news)

    def replay(self, store: Callable[[Queued], None]) -> int:
        """Hand everything to `store` in order, each removed when it was taken; how many messages it was.

        What `store` refuses for good is kept in the file, marked, and reported; the rest goes on.

        Raises:
            StoreUnavailableError: The store is still unavailable; what is left stays queued.
        """
        with self._lock:
            if self._replaying:
                return 0
            self._replaying = True
            done = 0
            try:
                while (queued := self._next()) is not None:
                    self._hand_over(queued, store)
                    done += len(queued.news)
            except StoreUnavailableError:
                self.rest()
                raise
            finally:
                self._replaying = False
            return done

    def _hand_over(self, queued: Queued, store: Callable[[Queued], None]) -> None:
        try:
            store(queued)
        except InvalidInputError as error:
            log.error("queued messages %d were refused and stay in %s: %s", queued.number, self._path, error)
            with self._explained():
                self._db.execute("UPDATE queue SET refused = ? WHERE number = ?", (str(error), queued.number))
        else:
            with self._explained():
                self._db.execute("DELETE FROM queue WHERE number = ?", (queued.number,))
        self._size -= len(queued.news)

    def _next(self) -> Queued | None:
        with self._explained():
            row = self._db.execute(
                "SELECT number, namespace, conversation, messages FROM queue WHERE refused IS NULL"
                " ORDER BY number LIMIT 1"
            ).fetchone()
        if row is None:
            return None
        return Queued(row[0], tuple(json.loads(row[1])), row[2], [_decoded(told) for told in json.loads(row[3])])

    def forget(self, namespace: Namespace) -> int:
        """Drop what is queued for a namespace; how many messages it was."""
        with self._lock, self._explained():
            rows = self._db.execute("DELETE FROM queue WHERE namespace = ? RETURNING size", (json.dumps(namespace),))
            gone = sum(row[0] for row in rows.fetchall())
            self._size = self._counted()
            return int(gone)

    def _counted(self) -> int:
        with self._explained():
            return int(self._db.execute("SELECT coalesce(sum(size), 0) FROM queue WHERE refused IS NULL").fetchone()[0])

    def close(self) -> None:
        """Let go of the file; what is in it is there next time."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(
                f"the queue {self._path} cannot be used: {error}; check its folder's permissions and the disk's free "
                "space, or set on_unavailable='raise'"
            ) from error


def at(new: NewMemory, moment: datetime) -> NewMemory:
    """A message with the time it was said, if it has none."""
    return new if new.timestamp is not None else replace(new, timestamp=moment)


def _encoded(new: NewMemory) -> dict[str, Any]:
    told = asdict(new)
    told["timestamp"] = None if new.timestamp is None else new.timestamp.isoformat()
    return told


def _decoded(told: dict[str, Any]) -> NewMemory:
    moment = told["timestamp"]
    return NewMemory(**(told | {"timestamp": None if moment is None else datetime.fromisoformat(moment)}))
