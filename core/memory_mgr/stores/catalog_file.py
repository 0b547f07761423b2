"""The catalog's file: connection, tables, transactions, and the note of what is being written."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memory_mgr.policy.lexical import FTS_COLUMNS, FTS_TOKENIZER
from memory_mgr.types import Namespace

CATALOG_VERSION = 6
"""Raised when the tables change, or the code that makes the texts of the word index, or `policy.cues`; a catalog with
another one is thrown away and rebuilt."""

_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE entries (
    rowid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tier TEXT NOT NULL, source TEXT, speaker TEXT,
    ts REAL NOT NULL, seq INTEGER NOT NULL, importance REAL NOT NULL, expires REAL, superseded_by TEXT,
    pinned INTEGER NOT NULL, kind TEXT NOT NULL, whole TEXT, content TEXT NOT NULL, record TEXT NOT NULL,
    voice TEXT, substance REAL NOT NULL, asks INTEGER NOT NULL, vector BLOB, scale REAL,
    accesses INTEGER NOT NULL DEFAULT 0, accessed REAL
);
CREATE INDEX entries_by_stream ON entries (tier, source, ts, seq, whole);
CREATE INDEX entries_by_time ON entries (tier, ts, seq);
CREATE INDEX entries_hidden ON entries (tier) WHERE superseded_by IS NOT NULL OR expires IS NOT NULL;
CREATE INDEX messages_by_sequence ON entries (tier, source, seq) WHERE kind <> 'memory' AND whole IS NULL;
CREATE INDEX episodes_in_sight ON entries (source, ts, seq) WHERE tier = 'episodic' AND superseded_by IS NULL;
CREATE INDEX entries_by_whole ON entries (whole) WHERE whole IS NOT NULL;
CREATE TABLE counts (tier TEXT, passages INTEGER, n INTEGER NOT NULL, PRIMARY KEY (tier, passages)) WITHOUT ROWID;
CREATE TRIGGER entry_added AFTER INSERT ON entries BEGIN
    INSERT INTO counts VALUES (new.tier, new.whole IS NOT NULL, 1)
    ON CONFLICT (tier, passages) DO UPDATE SET n = n + 1; END;
CREATE TRIGGER entry_removed AFTER DELETE ON entries BEGIN
    UPDATE counts SET n = n - 1 WHERE tier = old.tier AND passages = (old.whole IS NOT NULL); END;
CREATE TRIGGER entry_moved AFTER UPDATE OF tier ON entries WHEN old.tier <> new.tier BEGIN
    UPDATE counts SET n = n - 1 WHERE tier = old.tier AND passages = (old.whole IS NOT NULL);
    INSERT INTO counts VALUES (new.tier, new.whole IS NOT NULL, 1)
    ON CONFLICT (tier, passages) DO UPDATE SET n = n + 1; END;
CREATE TABLE attributes (
    key TEXT NOT NULL, type TEXT NOT NULL, value, entry INTEGER NOT NULL, PRIMARY KEY (key, type, value, entry)
) WITHOUT ROWID;
CREATE INDEX attributes_by_entry ON attributes (entry, key);
CREATE TABLE pending (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5({", ".join(FTS_COLUMNS)}, content = '', tokenize = "{FTS_TOKENIZER}");
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row);
"""
_ROWS = 200
"""Written with one statement, which is kept: one for 1,000 rows takes 2 MB and is not faster."""

_CIRCUMSTANCES = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_AUTH,
}
"""What ails the disk or another program, not the file (primary result codes of SQLite)."""
_QUESTIONS = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
}
"""What is wrong with a question, not with the file."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is no use, so that making it anew helps."""
    default = sqlite3.SQLITE_MISUSE if isinstance(error, sqlite3.ProgrammingError) else sqlite3.SQLITE_CORRUPT
    return getattr(error, "sqlite_errorcode", default) & 0xFF not in _CIRCUMSTANCES | _QUESTIONS


class CatalogFile:
    """One SQLite file that indexes one namespace. Thread-safe.

    Args:
        path: Its file; None keeps it in memory.
        namespace: Whose entries it holds.

    Raises:
        sqlite3.DatabaseError: The file is damaged or of another version; the caller rebuilds it.
    """

    def __init__(self, path: Path | None, namespace: Namespace) -> None:
        self.namespace = namespace
        self._lock = threading.RLock()
        self.db = sqlite3.connect(
            path or ":memory:",
            check_same_thread=False,
            isolation_level=None,
            timeout=30,
            cached_statements=256,
        )
        try:
            self._prepare()
        except BaseException:
            self.db.close()
            raise

    def _prepare(self) -> None:
        self.db.execute("PRAGMA journal_mode = WAL")
        # NORMAL survives a killed process; what a power cut takes is found by comparing counts with Chroma.
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.execute("PRAGMA temp_store = MEMORY")
        with self.transaction():
            fresh = not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
            if fresh and self.db.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise sqlite3.DatabaseError("it is the database of another program")
            if fresh:
                self._create()
        version = self.meta("version")
        if version != str(CATALOG_VERSION) or self.meta("namespace") != json.dumps(self.namespace):
            raise sqlite3.DatabaseError(f"catalog is of version {version}, this is {CATALOG_VERSION}")

    def _create(self) -> None:
        for statement in _statements(_SCHEMA):
            self.db.execute(statement)
        self.set_meta("version", str(CATALOG_VERSION))
        self.set_meta("namespace", json.dumps(self.namespace))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is executed inside; may be nested."""
        with self._lock:
            if self.db.in_transaction:
                yield
                return
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    @contextmanager
    def without_indexes(self) -> Iterator[None]:
        """A transaction that writes many rows: sorting them into each index once, at its end, takes less time."""
        with self.transaction():
            indexes = self.all_rows("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
            for name, _ in indexes:
                self.db.execute(f"DROP INDEX {name}")
            yield
            for _, sql in indexes:
                self.db.execute(sql)

    def insert(self, sql: str, values: Sequence[object], columns: int) -> None:
        """Write rows, many with each statement: others may have the interpreter while SQLite is at work.

        Args:
            sql: With `{rows}` where the values go.
            values: Row after row.
            columns: Values in a row.
        """
        row, step = f"({', '.join('?' * columns)})", _ROWS * columns
        whole = len(values) - len(values) % step
        for start in range(0, whole, step):
            self.db.execute(sql.format(rows=", ".join([row] * _ROWS)), values[start : start + step])
        self.db.executemany(sql.format(rows=row), zip(*[iter(values[whole:])] * columns, strict=True))

    def all_rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with self._lock:
            return self.db.execute(sql, parameters).fetchall()

    def shrink(self) -> None:
        """Let go of the pages that SQLite keeps in memory, up to 2 MB: after a large write most are of no use."""
        with self._lock:
            self.db.execute("PRAGMA shrink_memory")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self.db.close()

    def meta(self, key: str) -> str | None:
        """A remembered setting of this catalog."""
        row = self.all_rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(row[0][0]) if row else None

    def set_meta(self, key: str, value: str) -> None:
        """Remember a setting of this catalog."""
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def mark(self, ids: Iterable[str]) -> None:
        """Note that these entries are about to change in Chroma; `apply` takes the note back."""
        with self.transaction():
            self.db.executemany("INSERT OR IGNORE INTO pending VALUES (?)", ((i,) for i in ids))

    def pending(self) -> list[str]:
        """Entries whose change in Chroma was begun and never reported done."""
        return [row[0] for row in self.all_rows("SELECT id FROM pending")]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one (`executescript` would end our transaction)."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
