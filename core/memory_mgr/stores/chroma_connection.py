"""A client of Chroma: connected when it is first needed, asked patiently."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from chromadb.api import ClientAPI

from memory_mgr.errors import StoreError, StoreUnavailableError
from memory_mgr.policy.retry import RetryConfig
from memory_mgr.stores.chroma_errors import map_store_errors
from memory_mgr.stores.chroma_repair import VectorsOf

log = logging.getLogger(__name__)
T = TypeVar("T")
_DOWN_SECONDS = 5.0
"""For so long after a call that never got an answer, further ones are made once only: one patience for all."""


class Clients(Protocol):
    """Where a client of Chroma comes from."""

    @property
    def client(self) -> ClientAPI:
        """The client; to be used inside a `call`."""

    @property
    def session(self) -> str | None:
        """A name for the time in which nobody else can write there, another each time; None if others can."""

    def call(self, collection: str | None = None) -> AbstractContextManager[None]:
        """The client stays the same meanwhile.

        Args:
            collection: The name of what will be read or written, if it is one.
        """

    def mend(self, collection: str, vectors_of: VectorsOf | None) -> bool:
        """Repair a collection that could not be used, if that can be done from here.

        Args:
            collection: Its name.
            vectors_of: Makes vectors anew that cannot be found any more.

        Returns:
            Whether another attempt may go better.
        """

    def dropped(self) -> None:
        """A collection was deleted, whose index Chroma may go on keeping in memory."""


class LazyClient:
    """A client that is made at its first use, and stays until it is closed. Thread-safe.

    Args:
        connect: Makes a chromadb client.
        disconnect: Closes it.
    """

    def __init__(
        self, connect: Callable[[], ClientAPI], disconnect: Callable[[ClientAPI], None] = lambda client: None
    ) -> None:
        self._connect = connect
        self._disconnect = disconnect
        self._lock = threading.Lock()
        self._client: ClientAPI | None = None

    @property
    def client(self) -> ClientAPI:
        """The client."""
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    @property
    def session(self) -> None:
        """See `Clients`; anybody may write to a server."""

    def call(self, collection: str | None = None) -> AbstractContextManager[None]:
        """See `Clients`."""
        return nullcontext()

    def mend(self, collection: str, vectors_of: VectorsOf | None) -> bool:
        """See `Clients`; a server's files are its own."""
        return False

    def dropped(self) -> None:
        """See `Clients`; a server keeps what it keeps."""

    def close(self) -> None:
        """Let go of the client."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            self._disconnect(client)


class ChromaConnection:
    """What calls to Chroma go through. Thread-safe.

    Args:
        clients: Have the client.
        retry: How often a call is made again when the store is unavailable; every one may be, as writes are by id.
        vectors_of: Makes vectors anew that a damaged index lost.
    """

    def __init__(self, clients: Clients, retry: RetryConfig, vectors_of: VectorsOf | None = None) -> None:
        self._clients = clients
        self._retry = retry
        self._vectors_of = vectors_of
        self._down_until = 0.0
        self._batch = 0

    @property
    def client(self) -> ClientAPI:
        """The client; to be used inside `ask`."""
        return self._clients.client

    @property
    def session(self) -> str | None:
        """See `Clients`."""
        return self._clients.session

    @property
    def batch(self) -> int:
        """Records that one call may write; to be used inside `ask`."""
        if not self._batch:
            self._batch = max(1, self.client.get_max_batch_size())
        return self._batch

    def dropped(self) -> None:
        """See `Clients`."""
        self._clients.dropped()

    def open(self) -> None:
        """Connect now, without a second attempt.

        Raises:
            StoreUnavailableError: The store cannot be reached.
        """
        with map_store_errors("connecting"), self._clients.call():
            _ = self.batch

    def ask(self, what: str, call: Callable[[], T], collection: str | None = None) -> T:
        """The answer to a call, made again while the store is unavailable.

        Args:
            what: What is being done, for messages.
            call: May be made several times.
            collection: The name of the one that it reads or writes.

        Raises:
            StoreUnavailableError: It stayed unavailable.
            StoreError: It could not do that.
        """
        waits = self._retry.waits() if time.monotonic() >= self._down_until else iter(())
        mended = False
        while True:
            try:
                with map_store_errors(what), self._clients.call(collection):
                    answer = call()
            except StoreUnavailableError as error:
                wait = next(waits, None)
                if wait is None:
                    self._down_until = time.monotonic() + _DOWN_SECONDS
                    raise
                log.warning("%s; next attempt in %.1f s", error, wait)
                time.sleep(wait)
            except StoreError as error:
                # Not one of its kinds: those are no failures of Chroma.
                if type(error) is not StoreError or mended or collection is None:
                    raise
                mended = self._clients.mend(collection, self._vectors_of)
                if not mended:
                    raise
            else:
                self._down_until = 0.0
                return answer
