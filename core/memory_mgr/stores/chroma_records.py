"""The records by which clients of one server tell each other of changes, in Chroma."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

from memory_mgr.stores.chroma_connection import ChromaConnection

_RECORDS = 500
"""Records of a journal read or removed together."""


class ChromaRecords:
    """See `stores.journal.Records`: a collection whose vectors mean nothing.

    Args:
        connection: To Chroma.
        name: Of the collection.
    """

    def __init__(self, connection: ChromaConnection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._collection: Collection | None = None

    def identity(self, *, create: bool) -> str | None:
        """Which collection it is."""

        def find() -> None:
            client = self._connection.client
            with suppress(NotFoundError):
                if self._collection is None and create:
                    self._collection = client.get_or_create_collection(self._name, embedding_function=None)
                elif self._collection is None:
                    self._collection = client.get_collection(self._name, embedding_function=None)

        self._connection.ask("opening the journal", find)
        return None if self._collection is None else str(self._collection.id)

    def write(self, ids: Sequence[str], texts: Sequence[str], numbers: Sequence[dict[str, Any]]) -> None:
        """Write records."""

        def upsert(collection: Collection) -> None:
            vectors = np.ones((len(ids), 1), np.float32)
            collection.upsert(ids=list(ids), embeddings=vectors, documents=list(texts), metadatas=list(numbers))

        self.identity(create=True)
        if not self._ask("writing the journal", upsert):
            self.identity(create=True)
            self._ask("writing the journal", upsert)

    def texts(self, ids: Sequence[str]) -> list[str]:
        """The texts of records."""
        found: list[str] = []
        for start in range(0, len(ids), _RECORDS):

            def read(collection: Collection, start: int = start) -> None:
                part = list(ids[start : start + _RECORDS])
                found.extend(collection.get(ids=part, include=["documents"])["documents"] or [])

            self._ask("reading the journal", read)
        return found

    def clients(self) -> dict[str, dict[str, Any]]:
        """The records that stand for clients."""
        found: dict[str, dict[str, Any]] = {}

        def read(collection: Collection) -> None:
            result = collection.get(where={"client": 1}, include=["metadatas"])
            found.update(zip(result["ids"], cast("Any", result["metadatas"]), strict=True))

        if self.identity(create=False) is not None:
            self._ask("reading the journal", read)
        return found

    def remove(self, ids: Sequence[str]) -> None:
        """Remove records."""
        for start in range(0, len(ids), _RECORDS):

            def remove(collection: Collection, start: int = start) -> None:
                collection.delete(ids=list(ids[start : start + _RECORDS]))

            self._ask("removing from the journal", remove)

    def _ask(self, what: str, question: Callable[[Collection], Any]) -> bool:
        """Ask the collection; False if it is gone."""

        def ask() -> None:
            try:
                if self._collection is not None:
                    question(self._collection)
            except NotFoundError:
                self._collection = None

        self._connection.ask(what, ask)
        return self._collection is not None
