"""One store and one set of open namespaces per location, however many managers use it in this process."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import ClassVar

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.pool import RepositoryPool
from memory_mgr.errors import ConfigurationError
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.opening import location, open_store
from memory_mgr.stores.passages import Embed
from memory_mgr.stores.repository import Repository
from memory_mgr.types import Namespace

_Key = tuple[object, ...]


class SharedStore:
    """A store with its open namespaces; `acquire` one, `release` it when done."""

    _open: ClassVar[dict[_Key, SharedStore]] = {}
    _lock = threading.Lock()

    def __init__(self, key: _Key, config: MemoryConfig, space: EmbeddingSpace, embed: Embed) -> None:
        self._key = key
        self._catalogs = config.catalogs
        self._recall = config.recall
        self._read_only = config.read_only
        self._users = 0
        self.store = open_store(config, space, embed)
        self.pool = RepositoryPool(self._open_repository, config.open_namespaces)

    @classmethod
    def acquire(cls, config: MemoryConfig, space: EmbeddingSpace, embed: Embed) -> SharedStore:
        """The store of a location, opened if it is not open yet.

        Args:
            config: The settings.
            space: The embedder.
            embed: Embeds texts of entries with it.

        Raises:
            ConfigurationError: It is open with settings by which its words are indexed in another way.
        """
        key: _Key = (location(config), config.catalogs, config.read_only, space)
        if config.catalogs is None or config.read_only:
            # Indexed in memory, or read as the writer indexed it: nobody else's settings matter.
            key += (config.recall.reach(),)
        with cls._lock:
            shared = cls._open.get(key)
            if shared is None:
                shared = cls._open[key] = cls(key, config, space, embed)
            else:
                shared._check_reach(config)
            shared._users += 1
            return shared

    def release(self) -> None:
        """Done with it; the last one closes it."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                del self._open[self._key]
                try:
                    self.pool.close()
                finally:
                    self.store.close()

    def _check_reach(self, config: MemoryConfig) -> None:
        """Two ways of indexing words in one file would each undo the other's."""
        here, there = config.recall.reach(), self._recall.reach()
        if here != there:
            differing = ", ".join(f"recall.{name} is {value}" for name, value in sorted(set(there) - set(here)))
            raise ConfigurationError(
                f"{config.path or config.url} is open in this process with another index of words: {differing} there, "
                "but not here; use the same settings for both, or close the other memory first"
            )

    def _open_repository(self, namespace: Namespace) -> Repository:
        path = self._catalog_path(namespace)
        return Repository(self.store, namespace, path, self._recall, read_only=self._read_only)

    def _catalog_path(self, namespace: Namespace) -> Path | None:
        if self._catalogs is None:
            return None
        digest = hashlib.sha256(json.dumps(namespace).encode()).hexdigest()[:40]
        return self._catalogs / f"{digest}.sqlite3"
