"""Where the catalog of a namespace is kept: opened there, thrown away there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from memory_mgr.errors import StoreUnavailableError
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores.catalog import Catalog
from memory_mgr.types import Namespace


class CatalogPlace:
    """A file, or memory.

    Args:
        path: The file; None = in memory.
        namespace: Whose entries the catalog holds.
        recall: What it indexes beside an entry's own words.
        read_only: A file that is no use is left to those who write; a catalog in memory stands in.
    """

    def __init__(self, path: Path | None, namespace: Namespace, recall: RecallConfig, *, read_only: bool) -> None:
        self.path = path
        self._namespace = namespace
        self._recall = recall
        self._read_only = read_only

    def connect(self) -> Catalog:
        """The catalog, empty if there was none.

        Raises:
            StoreUnavailableError: Its folder cannot be made.
            sqlite3.DatabaseError: The file is damaged, of another version, or cannot be used.
        """
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.unavailable(error) from error
        catalog = Catalog(self.path, self._namespace, self._recall)
        try:
            if not self._read_only:
                catalog.renew_words()
        except BaseException:
            catalog.close()
            raise
        return catalog

    def discard(self) -> None:
        """Remove the file; it is not open any more.

        Raises:
            StoreUnavailableError: It cannot be removed.
        """
        if self._read_only:
            self.path = None
        if self.path is None:
            return
        try:
            # The database first: SQLite ignores a log that is left without one.
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: sqlite3.DatabaseError | OSError) -> StoreUnavailableError:
        """The error that says what ails the file and what to do."""
        return StoreUnavailableError(
            f"the catalog {self.path} cannot be used: {error}; check that the folder is writable, the disk has room "
            "and no other program holds the file (deleting it is safe: it is rebuilt from Chroma)"
        )
