"""From settings to a store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_mgr.config import MemoryConfig
from memory_mgr.errors import StoreUnavailableError
from memory_mgr.stores.base import EmbeddingSpace, VectorStore
from memory_mgr.stores.embedded import EMBEDDED
from memory_mgr.stores.in_memory import InMemoryStore
from memory_mgr.stores.passages import Embed
from memory_mgr.stores.scrub import scrub

if TYPE_CHECKING:
    from memory_mgr.stores.chroma import ChromaStore
    from memory_mgr.stores.chroma_connection import Clients, LazyClient


def location(config: MemoryConfig) -> tuple[object, ...]:
    """What tells one store from another in this process."""
    if config.client is not None:
        return "client", id(config.client)
    if config.url is not None:
        return "url", config.url, config.tenant, config.database
    if config.in_memory:
        return "memory", object()
    return "path", str(Path(str(config.path)).resolve())


def open_store(config: MemoryConfig, space: EmbeddingSpace | None, embed: Embed | None = None) -> VectorStore:
    """The store that `config` names.

    Args:
        config: The settings.
        space: The embedder whose vectors it holds; None to read what any embedder wrote.
        embed: Embeds texts again whose vectors a damaged index lost.

    Raises:
        ConfigurationError: The url cannot be read, or the server has no such database.
        StoreUnavailableError: The server does not answer, the folder cannot be used or another process has it.
    """
    if config.client is not None:
        return _remote(config, space)
    if config.url is not None:
        return _remote(config, space, retry=config.retry, later=config.on_unavailable == "queue")
    if config.in_memory and space is not None:
        return InMemoryStore(space)
    return _embedded(_folder(Path(str(config.path))), space, embed, read_only=config.read_only)


@contextmanager
def connected(config: MemoryConfig) -> Iterator[Clients]:
    """chromadb itself, as the store that `config` names uses it; nobody else writes to an embedded one meanwhile.

    Raises:
        StoreUnavailableError: As by `open_store`.
    """
    from memory_mgr.stores.chroma_errors import map_store_errors

    if config.path is None:
        clients = _clients(config)
        try:
            with map_store_errors("connecting"):
                _ = clients.client
            yield clients
        finally:
            clients.close()
        return
    folder = _folder(config.path)
    embedded = EMBEDDED.acquire(folder, read_only=False, alone=True)
    try:
        embedded.mend_all()
        yield embedded
    finally:
        EMBEDDED.release(folder)


def _embedded(folder: Path, space: EmbeddingSpace | None, embed: Embed | None, *, read_only: bool) -> ChromaStore:
    embedded = EMBEDDED.acquire(folder, read_only=read_only)
    release = partial(EMBEDDED.release, folder)
    try:
        return _chroma(
            embedded,
            space,
            before_writing=partial(_need_room, folder),
            after_writing=embedded.wrote,
            on_close=release,
            on_scrub=lambda: embedded.alone(lambda: scrub(folder)),
            embed=embed,
        )
    except BaseException:
        release()
        raise


def _remote(config: MemoryConfig, space: EmbeddingSpace | None, **options: Any) -> ChromaStore:
    clients = _clients(config)
    try:
        return _chroma(clients, space, shared=True, on_close=clients.close, **options)
    except BaseException:
        clients.close()
        raise


def _clients(config: MemoryConfig) -> LazyClient:
    """Of a server, or the application's own, which stays open."""
    from memory_mgr.stores.chroma_connection import LazyClient
    from memory_mgr.stores.chroma_server import connection, disconnect

    if config.client is not None:
        return LazyClient(lambda: config.client)
    return LazyClient(connection(config), disconnect)


def _chroma(clients: Clients, space: EmbeddingSpace | None, *, later: bool = False, **options: Any) -> ChromaStore:
    from memory_mgr.stores.chroma import ChromaStore

    store = ChromaStore(clients, space, **options)
    if not later:
        store.connect()
    return store


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
