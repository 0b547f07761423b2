"""Embedded Chroma: one client a folder, for all stores on it, which is made anew before it keeps too much in memory.

What a collection's index on disk lacks, Chroma adds from its log when the collection is first used, and only then:
an index that it drops from memory later is read from disk as it was last saved, and what was written since is missing
or old until the next write (chromadb 1.5.9, `LocalExecutor.try_backfill_collection`). So none is ever dropped: when
there are many, the whole client is, and another one begins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from memory_mgr.errors import InvalidInputError, StoreError, StoreUnavailableError
from memory_mgr.heap import give_back
from memory_mgr.stores import chroma_repair
from memory_mgr.stores.chroma_log import index_log
from memory_mgr.stores.chroma_repair import DEFAULT, Database, VectorsOf
from memory_mgr.stores.index_files import is_whole
from memory_mgr.stores.lock import FolderLock

INDEXES = 256
"""Collections whose indexes are in memory at a time, or half as many as the files allow that a process may open; each
takes 2.7 MB, however few entries it holds (chromadb 1.5.9)."""
DROPPED = 16
"""Deleted collections after which the client begins anew: Chroma keeps the index of each, 4.6 MB and four open files
for 1,000 entries (chromadb 1.5.9, chroma#3296), and a window is made anew after every 1,000 messages."""
_MANY = 5000
"""Entries after which memory is given back, which takes some 10 ms: ten loads of 5,000 kept 380 MB instead of 510."""
_SHARDS = 64
"""Parts of Chroma's cache, each of which drops an index when it holds its share, so that all together hold far less."""


class EmbeddedClient:
    """A Chroma client on a folder. Thread-safe.

    Args:
        folder: Where its files are.
        database: Whose collections it is for.
        was_closed: Whether whoever had it last closed it; if not, what was saved is looked through before it is read.
        may_write: Whether what is damaged may be repaired.

    Attributes:
        folder: The same.
        session: A name for the time in which one store alone writes there; None while there are several.

    Raises:
        StoreUnavailableError: The folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        database: Database = DEFAULT,
        *,
        was_closed: bool = False,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder = folder
        self._database = database
        self.session: str | None = None
        self._may_write = may_write
        self._turn = threading.Condition()
        self._calls = 0
        self._mine = threading.local()
        self._used: set[str] = set()
        self._due = False
        self._dropped = 0
        self._indexed = False
        self._written = 0
        self._client: Any = None
        self._stop: Callable[[], None] = lambda: None
        self._damaged, saved = chroma_repair.suspects(folder, database)
        self._unseen = {} if was_closed else saved
        self._mended: set[str] = set()
        self._connect()

    @property
    def client(self) -> Any:
        """The client as it is now; it stays so during a `call`."""
        return self._client

    @contextmanager
    def call(self, collection: str | None = None) -> Iterator[None]:
        """What is done inside finds the client open; calls may be made inside of calls.

        Args:
            collection: The name of what will be read or written, if it is one.

        Raises:
            StoreError: Its index is damaged; `mend` it.
        """
        if collection is not None:
            self._look_at(collection)
        depth = getattr(self._mine, "depth", 0)
        with self._turn:
            if not depth:
                self._due = self._due or self._is_full(collection)
                self._turn.wait_for(lambda: not (self._due and self._calls))
                if self._due:
                    self._renew()
            self._calls += 1
            if collection is not None:
                self._used.add(collection)
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            with self._turn:
                self._calls -= 1
                self._turn.notify_all()

    def _look_at(self, collection: str) -> None:
        """Before Chroma does, which may read gigabytes out of an index of two states, and save them."""
        if collection in self._unseen:
            with self._turn:
                index = self._unseen.get(collection)
                if index is not None and not is_whole(index):
                    self._damaged.add(collection)
                self._unseen.pop(collection, None)
        if collection in self._damaged:
            raise StoreError(f"the index of {collection} is damaged")

    @property
    def all_well(self) -> bool:
        """Whether no index is, or may be, damaged."""
        return not self._unseen and not self._damaged

    def mend_all(self) -> None:
        """Look at every index that needs it before Chroma reads it, and make those anew that are damaged.

        Raises:
            StoreError: Vectors were lost that only the embedder can make anew.
        """
        for collection in (*self._unseen, *self._damaged):
            try:
                self._look_at(collection)
            except StoreError:
                self.mend(collection, None)

    def mend(self, collection: str, vectors_of: VectorsOf | None) -> bool:
        """Make the index of a collection anew if that is why Chroma failed.

        Args:
            collection: Its name.
            vectors_of: Makes vectors anew that cannot be found any more.

        Returns:
            Whether another attempt may go better. Not so inside of another `call`: it is mended from outside.

        Raises:
            StoreError: It cannot be mended here; the message says where.
        """
        from chromadb.errors import NotFoundError

        if getattr(self._mine, "depth", 0):
            return False
        with self._turn:
            self._turn.wait_for(lambda: not self._calls)
            if collection in self._mended:
                return True
            self._unseen.pop(collection, None)
            suspected = collection in self._damaged
            self._damaged.discard(collection)
            try:
                found = str(self._client.get_collection(collection, embedding_function=None).id)
            except NotFoundError:
                return suspected
            if not chroma_repair.needs_repair(self.folder, found):
                return suspected
            self._damaged.add(collection)
            if not self._may_write():
                raise StoreError(
                    f"the index of {collection} in {self.folder} is damaged, and who only reads cannot repair it; "
                    "open the store once without read_only=True"
                )
            self._renew(lambda: chroma_repair.put_aside(self.folder, found))
            remade = self._client.get_collection(collection, embedding_function=None)
            chroma_repair.put_back(self.folder, remade, vectors_of)
            self._damaged.discard(collection)
            self._mended.add(collection)
            return True

    def wrote(self, entries: int) -> None:
        """Give back, now and then, the memory that writes leave with the C library.

        Args:
            entries: How many were written.
        """
        self._written += entries
        if self._written >= _MANY:
            self._written = 0
            give_back()

    def dropped(self) -> None:
        """See `chroma_connection.Clients`."""
        with self._turn:
            self._dropped += 1
            self._due = self._due or self._dropped >= DROPPED

    def alone(self, work: Callable[[], None]) -> None:
        """Do something to the files while no client has them open; not from inside a `call`."""
        with self._turn:
            self._due = True
            self._turn.wait_for(lambda: not self._calls)
            self._renew(work)

    def close(self) -> None:
        """Let go of the files."""
        with self._turn:
            self._turn.wait_for(lambda: not self._calls)
            self._disconnect()

    def _is_full(self, collection: str | None) -> bool:
        return collection is not None and collection not in self._used and len(self._used) >= self._most

    def _renew(self, work: Callable[[], None] = lambda: None) -> None:
        try:
            self._disconnect()
            try:
                work()
            finally:
                self._connect()
        finally:
            self._turn.notify_all()

    def _connect(self) -> None:
        self._indexed = self._indexed or (self._may_write() and index_log(self.folder))
        self._client, self._stop, allowed = _opened(self.folder, self._database)
        self._most = max(1, min(INDEXES, allowed // 2))
        self._used.clear()
        self._dropped = 0
        self._due = False

    def _disconnect(self) -> None:
        self._client = None
        stop, self._stop = self._stop, lambda: None
        stop()
        give_back()


def _opened(folder: Path, database: Database) -> tuple[Any, Callable[[], None], int]:
    """A client as `chromadb.PersistentClient` makes it that drops no index, its end, and how many the files allow."""
    from chromadb.api import ServerAPI
    from chromadb.api.client import Client
    from chromadb.config import Settings, System
    from chromadb.telemetry.product import ProductTelemetryClient

    from memory_mgr.stores.chroma_errors import map_store_errors

    with map_store_errors(f"opening {folder}"):
        # chromadb knows clients by this text: one that the application has opened on the folder stays its own.
        place = f"{folder}/."
        system: Any = System(Settings(anonymized_telemetry=False, is_persistent=True, persist_directory=place))
        system.instance(ProductTelemetryClient)
        server = system.instance(ServerAPI)
        allowed: int = server.hnsw_cache_size
        server.hnsw_cache_size = 2 * INDEXES * _SHARDS
        system.start()
        client = Client.from_system(system, *database)
        return client, getattr(client, "close", system.stop), allowed


class Embedded:
    """The clients of a process by folder, and the locks that keep other processes out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, tuple[EmbeddedClient, FolderLock, int]] = {}

    def acquire(self, folder: Path, *, read_only: bool, alone: bool = False) -> EmbeddedClient:
        """The client of a folder; to be released as often.

        Args:
            folder: Where its files are.
            read_only: Others may read meanwhile.
            alone: It must not be in use in this process either.

        Raises:
            StoreUnavailableError: The folder cannot be used or another process has it.
        """
        with self._lock:
            if alone and folder in self._open:
                raise StoreUnavailableError(f"{folder} is in use by this process; close what is open on it first")
            client, lock, users = self._open.get(folder) or (*_locked(folder, read_only=read_only), 0)
            if not read_only:
                lock.for_writing()
            client.session = None if users else uuid4().hex
            self._open[folder] = (client, lock, users + 1)
            return client

    def release(self, folder: Path) -> None:
        """One user less; the last one closes it."""
        with self._lock:
            client, lock, users = self._open[folder]
            if users > 1:
                client.session = uuid4().hex if users == 2 else None
                self._open[folder] = (client, lock, users - 1)
                return
            del self._open[folder]
            client.close()
            lock.release(closed=client.all_well)


def _locked(folder: Path, *, read_only: bool) -> tuple[EmbeddedClient, FolderLock]:
    lock = FolderLock(folder, shared=read_only)
    try:
        return EmbeddedClient(folder, was_closed=lock.was_closed, may_write=lambda: not lock.shared), lock
    except BaseException:
        lock.release()
        raise


EMBEDDED = Embedded()


def files_of(folder: Path) -> Path:
    """Where Chroma's files are: of a memory, in a folder in its own.

    Raises:
        InvalidInputError: There is no store.
    """
    ours = folder.resolve() / "chroma"
    files = ours if ours.is_dir() else folder.resolve()
    if not (files / "chroma.sqlite3").is_file():
        raise InvalidInputError(
            f"there is no store in {folder.resolve()}; give the folder of a memory, or --path of a Chroma server"
        )
    return files


@contextmanager
def closed_store(folder: Path, database: Database = DEFAULT) -> Iterator[EmbeddedClient]:
    """A client on a store that nobody has open: of a memory that is closed, or of a Chroma server that is stopped.

    Args:
        folder: What `path` or `chroma run --path` name.
        database: Which one of a server; a memory has no other.

    Raises:
        InvalidInputError: There is no store in the folder.
        StoreUnavailableError: It is in use, or cannot be written.
    """
    files = files_of(folder)
    if files != folder.resolve():
        client = EMBEDDED.acquire(files, read_only=False, alone=True)
        try:
            yield client
        finally:
            EMBEDDED.release(files)
        return
    client = EmbeddedClient(files, database)
    try:
        yield client
    finally:
        client.close()
