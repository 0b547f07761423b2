"""LangGraph's own tests of its SQLite stores, run on TieredMemoryStore on embedded Chroma.

The names are bound anew before the tests import them. `text_fields` is SQLite's name of `fields`.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import langgraph.store.sqlite
import langgraph.store.sqlite.aio

from langchain_memory_mgr import TieredMemoryStore
from memory_mgr import MemoryConfig
from memory_mgr.testing import FakeEmbedder


class Shim(TieredMemoryStore):
    """The constructor of the SQLite stores."""

    def __init__(self, path: str, *, index: Any = None, ttl: Any = None) -> None:
        if index:
            index = {**index, "fields": index.get("text_fields")}
        if ttl:
            # Where it is not set, SQLite's store does not refresh; TTLConfig says that the default is to refresh.
            ttl = {"refresh_on_read": False, **ttl}
        embedder = None if index else FakeEmbedder()
        super().__init__(config=MemoryConfig(path=path, embedder=embedder), index=index, ttl=ttl)


@contextmanager
def _path(connection: str) -> Iterator[str]:
    if connection == ":memory:":
        yield connection
        return
    with tempfile.TemporaryDirectory() as folder:
        yield folder


class SqliteStore(Shim):
    """Blocking."""

    @classmethod
    @contextmanager
    def from_conn_string(cls, conn_string: str, *, index: Any = None, ttl: Any = None) -> Iterator[SqliteStore]:
        with _path(conn_string) as path, cls(path, index=index, ttl=ttl) as store:
            yield store

    def setup(self) -> None:
        """Nothing to do."""


class AsyncSqliteStore(Shim):
    """The methods that the asynchronous store has as coroutines."""

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, conn_string: str, *, index: Any = None, ttl: Any = None
    ) -> AsyncIterator[AsyncSqliteStore]:
        with _path(conn_string) as path:
            async with cls(path, index=index, ttl=ttl) as store:
                yield store

    async def setup(self) -> None:
        """Nothing to do."""

    async def aclose(self) -> None:
        await self.stop_ttl_sweeper()
        self._connection.close()

    async def sweep_ttl(self) -> int:  # type: ignore[override]
        return await self._connection.run(super().sweep_ttl)

    def _sweep_until(self, stopped: Any, seconds: float) -> None:
        while not stopped.wait(seconds):
            super().sweep_ttl()

    async def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:  # type: ignore[override]
        super().start_ttl_sweeper(sweep_interval_minutes)

    async def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        return super().stop_ttl_sweeper(timeout)


langgraph.store.sqlite.SqliteStore = SqliteStore  # type: ignore[misc]
langgraph.store.sqlite.AsyncSqliteStore = AsyncSqliteStore  # type: ignore[misc]
langgraph.store.sqlite.aio.AsyncSqliteStore = AsyncSqliteStore  # type: ignore[misc]
