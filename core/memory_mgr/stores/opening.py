"""From settings to a store."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from memory_mgr.config import MemoryConfig
from memory_mgr.errors import ConfigurationError, StoreUnavailableError
from memory_mgr.stores.base import EmbeddingSpace, VectorStore
from memory_mgr.stores.in_memory import InMemoryStore
from memory_mgr.stores.lock import FolderLock
from memory_mgr.stores.scrub import scrub

_BUSY = {408, 429, 502, 503, 504}
"""Answers that another attempt may change."""

if TYPE_CHECKING:
    from memory_mgr.stores.chroma import ChromaStore


def location(config: MemoryConfig) -> tuple[object, ...]:
    """What tells one store from another in this process."""
    if config.client is not None:
        return "client", id(config.client)
    if config.url is not None:
        return "url", config.url, config.tenant, config.database
    if config.in_memory:
        return "memory", object()
    return "path", str(Path(str(config.path)).resolve())


def open_store(config: MemoryConfig, space: EmbeddingSpace | None) -> VectorStore:
    """The store that `config` names; without a space, for reading what any embedder wrote.

    Raises:
        ConfigurationError: The url cannot be read.
        StoreUnavailableError: The server does not answer, the folder cannot be used or another process has it.
    """
    if config.client is not None:
        return _chroma(lambda: config.client, space, shared=True)
    if config.url is not None:
        later = config.on_unavailable == "queue"
        return _chroma(_server(config), space, retry=config.retry, later=later, shared=True)
    if config.in_memory and space is not None:
        return InMemoryStore(space)
    return _EMBEDDED.open(Path(str(config.path)), space, read_only=config.read_only)


@contextmanager
def connected(config: MemoryConfig) -> Iterator[Any]:
    """A chromadb client of the store that `config` names, nobody else writing to an embedded one.

    Raises:
        StoreUnavailableError: As by `open_store`.
    """
    from memory_mgr.stores.chroma_errors import map_store_errors

    if config.path is None:
        with map_store_errors("connecting"):
            client = config.client if config.client is not None else _server(config)()
        yield client
        return
    with _EMBEDDED.client(_folder(config.path), read_only=False) as client:
        yield client


def _chroma(
    connect: Callable[[], Any], space: EmbeddingSpace | None, *, later: bool = False, **options: Any
) -> ChromaStore:
    from memory_mgr.stores.chroma import ChromaStore

    store = ChromaStore(connect, space, **options)
    if not later:
        store.connect()
    return store


def _settings(**options: Any) -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False, **options)


def _persistent(folder: Path) -> Any:
    """A client as `chromadb.PersistentClient` makes it, that keeps at most `_INDEXES` in memory."""
    from chromadb.api import ServerAPI
    from chromadb.api.client import Client
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.config import System
    from chromadb.telemetry.product import ProductTelemetryClient

    settings = _settings(is_persistent=True, persist_directory=str(folder))
    if str(folder) in SharedSystemClient._identifier_to_system:  # the application has opened it itself
        return Client(settings=settings)
    system: Any = System(settings)
    system.instance(ProductTelemetryClient)
    server = system.instance(ServerAPI)
    server.hnsw_cache_size = min(server.hnsw_cache_size, _INDEXES)
    system.start()
    return Client.from_system(system)


def _server(config: MemoryConfig) -> Callable[[], Any]:
    """Connects to a server."""
    parts = urlsplit(config.url or "")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"url must be like http://127.0.0.1:8000, not {config.url!r}")
    port = parts.port or (443 if parts.scheme == "https" else 8000)

    def connect() -> Any:
        import chromadb
        import httpx

        # chromadb sets no time limit of its own, neither while it connects nor later.
        heartbeat = f"{parts.scheme}://{parts.hostname}:{port}/api/v2/heartbeat"
        httpx.get(heartbeat, headers=config.headers, timeout=config.timeout_seconds)
        client = chromadb.HttpClient(
            host=str(parts.hostname),
            port=port,
            ssl=parts.scheme == "https",
            headers=dict(config.headers) or None,
            settings=_settings(),
            tenant=config.tenant,
            database=config.database,
        )
        session = client._server._session  # type: ignore[attr-defined]
        session.timeout = httpx.Timeout(config.timeout_seconds)
        session.event_hooks = {"response": [_refuse_busy]}
        return client

    return connect


def _refuse_busy(response: Any) -> None:
    """Tell "not now" from "not like this", which chromadb does not."""
    if response.status_code in _BUSY:
        raise StoreUnavailableError(
            f"the Chroma server answered {response.status_code} {response.reason_phrase}; it may be starting, "
            "overloaded, or behind a gateway that cannot reach it"
        )


class _Embedded:
    """Embedded clients by folder: chromadb shares one system per folder, so all stores on it share one client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[Any, FolderLock, int]] = {}

    def open(self, path: Path, space: EmbeddingSpace | None, *, read_only: bool) -> ChromaStore:
        folder = _folder(path)
        client = self._acquire(folder, read_only=read_only)
        try:
            return _chroma(
                lambda: client,
                space,
                before_writing=partial(_need_room, folder),
                on_close=lambda: self._release(folder),
                on_scrub=lambda: scrub(folder),
            )
        except BaseException:
            self._release(folder)
            raise

    @contextmanager
    def client(self, folder: Path, *, read_only: bool) -> Iterator[Any]:
        """The client of a folder, while it is used."""
        client = self._acquire(folder, read_only=read_only)
        try:
            yield client
        finally:
            self._release(folder)

    def _acquire(self, folder: Path, *, read_only: bool) -> Any:
        with self._lock:
            client, lock, users = self._open.get(folder) or (*self._connect(folder, read_only=read_only), 0)
            if not read_only:
                lock.for_writing()
            self._open[folder] = (client, lock, users + 1)
            return client

    @staticmethod
    def _connect(folder: Path, *, read_only: bool) -> tuple[Any, FolderLock]:
        from memory_mgr.stores.chroma_errors import map_store_errors

        lock = FolderLock(folder, shared=read_only)
        try:
            with map_store_errors(f"opening {folder}"):
                return _persistent(folder), lock
        except BaseException:
            lock.release()
            raise

    def _release(self, folder: Path) -> None:
        with self._lock:
            client, lock, users = self._open[folder]
            if users > 1:
                self._open[folder] = (client, lock, users - 1)
                return
            del self._open[folder]
            close = getattr(client, "close", None)
            if close is not None:
                close()
            lock.release()


_EMBEDDED = _Embedded()
_INDEXES = 256
"""Indexes of collections that Chroma keeps in memory, the least recently used go first. By itself it keeps as many as a
fifth of the files a process may open, 2.7 MB each however few entries they hold: where a million files are allowed, a
process that has seen 10,000 users would hold tens of gigabytes."""
_ROOM_BYTES = 32 * 2**20
"""Free space below which nothing is written: Chroma needs room to tidy up, and hangs if it finds none."""


def _need_room(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _ROOM_BYTES:
        raise StoreUnavailableError(
            f"the disk of {folder} is full: {free >> 20} MiB are left, {_ROOM_BYTES >> 20} are needed to write safely; "
            "make room and try again"
        )


def _folder(path: Path) -> Path:
    folder = path.expanduser().resolve() / "chroma"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            f"{path} cannot be used as the folder of a store: {error.strerror or error}; "
            "give a folder that exists and is writable, or can be made"
        ) from error
    return folder
