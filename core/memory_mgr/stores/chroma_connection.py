"""A client of Chroma: connected when it is first needed, asked patiently."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from chromadb.api import ClientAPI

from memory_mgr.errors import StoreUnavailableError
from memory_mgr.policy.retry import RetryConfig
from memory_mgr.stores.chroma_errors import map_store_errors

log = logging.getLogger(__name__)
T = TypeVar("T")
_DOWN_SECONDS = 5.0
"""For so long after a call that never got an answer, further ones are made once only: one patience for all."""


class ChromaConnection:
    """What calls to Chroma go through. Thread-safe.

    Args:
        connect: Makes a chromadb client; called at the first use.
        retry: How often a call is made again when the store is unavailable; every one may be, as writes are by id.
    """

    def __init__(self, connect: Callable[[], ClientAPI], retry: RetryConfig) -> None:
        self._connect = connect
        self._retry = retry
        self._lock = threading.Lock()
        self._client: ClientAPI | None = None
        self._down_until = 0.0
        self.batch = 1

    @property
    def client(self) -> ClientAPI:
        """The client; to be used inside `ask`."""
        with self._lock:
            if self._client is None:
                client = self._connect()
                self.batch = max(1, client.get_max_batch_size())
                self._client = client
            return self._client

    def open(self) -> None:
        """Connect now, without a second attempt.

        Raises:
            StoreUnavailableError: The store cannot be reached.
        """
        with map_store_errors("connecting"):
            _ = self.client

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """The answer to a call, made again while the store is unavailable.

        Args:
            what: What is being done, for messages.
            call: May be made several times.

        Raises:
            StoreUnavailableError: It stayed unavailable.
            StoreError: It could not do that.
        """
        waits = self._retry.waits() if time.monotonic() >= self._down_until else iter(())
        while True:
            try:
                with map_store_errors(what):
                    answer = call()
            except StoreUnavailableError as error:
                wait = next(waits, None)
                if wait is None:
                    self._down_until = time.monotonic() + _DOWN_SECONDS
                    raise
                log.warning("%s; next attempt in %.1f s", error, wait)
                time.sleep(wait)
            else:
                self._down_until = 0.0
                return answer
