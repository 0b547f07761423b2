"""Entries in a collection of Chroma: how they are written, read back, and read all, page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from chromadb.api.models.Collection import Collection

from memory_mgr.protocols import Vectors
from memory_mgr.stores.ahead import ahead
from memory_mgr.stores.codec import decode_entry, encode_entry
from memory_mgr.stores.passages import Embed, document_vectors
from memory_mgr.stores.scanned import Scanned
from memory_mgr.stores.schema import SCHEMA_VERSION
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

T = TypeVar("T")
Ask = Callable[[Callable[[Collection], T], T], T]
"""Asks a question of a collection; the second argument is the answer if the collection is gone."""
_RECORD = "entry"
"""Key in the metadata under which all of an entry but its id, content, namespace and tier is."""
_PAGE, _PAGES_AT_ONCE = 500, 2
"""Entries read together, and pages at once: half of the time of one Chroma is at work outside of the interpreter. It
hands out vectors as lists of numbers: more of them at a time outlive several passes of Python's collector."""


def metadata_of(collection: Collection, entries: Sequence[MemoryEntry]) -> list[Any]:
    """Entries as metadata, in the collection's own form: those who could read it before still can."""
    return [{_RECORD: encode_entry(entry, _schema(collection))} for entry in entries]


def entries_of(result: Any, namespace: Namespace, tier: MemoryType) -> list[MemoryEntry]:
    """The entries of what Chroma answers, documents and metadata included."""
    return [
        decode_entry(memory_id, document, metadata[_RECORD], namespace, tier)
        for memory_id, document, metadata in zip(result["ids"], result["documents"], result["metadatas"], strict=True)
    ]


def embedded_anew(collection: Collection, ids: list[str], embed: Embed) -> tuple[list[str], Vectors]:
    """The vectors of some ids of a collection, made of their texts: the ids found, shape (ids, dimensions)."""
    told = collection.metadata
    found = collection.get(ids=ids, include=["documents", "metadatas"])
    entries = entries_of(found, tuple(json.loads(told["namespace"])), MemoryType(told["tier"]))
    return [entry.id for entry in entries], document_vectors(entries, embed)


def scanned(
    ask: Ask[Any], namespace: Namespace, tier: MemoryType, *, with_vectors: bool, batch: int
) -> Iterator[Scanned]:
    """All entries in batches; while one is decoded another thread reads the next."""
    # By id, not by offset: what others delete meanwhile would move the pages.
    schema, ids = ask(lambda collection: (_schema(collection), collection.get(include=[])["ids"]), (0, []))
    include: list[Any] = ["documents", "metadatas", *(["embeddings"] if with_vectors else [])]

    def read(part: list[str]) -> Any:
        return ask(lambda collection: collection.get(ids=part, include=include), None)

    def records(page: Any) -> list[str]:
        if schema == SCHEMA_VERSION:
            return [told[_RECORD] for told in page["metadatas"]]
        return [encode_entry(entry) for entry in entries_of(page, namespace, tier)]

    def batches() -> Iterator[list[Any]]:
        with ThreadPoolExecutor(_PAGES_AT_ONCE, "memory-mgr-scan") as readers:
            for start in range(0, len(ids), batch):
                end = min(start + batch, len(ids))
                pages = readers.map(read, [ids[first : min(first + _PAGE, end)] for first in range(start, end, _PAGE)])
                yield [page for page in pages if page is not None and page["ids"]]

    for pages in ahead(batches()):
        if pages:
            yield Scanned(
                namespace,
                tier,
                [memory_id for page in pages for memory_id in page["ids"]],
                [content for page in pages for content in page["documents"]],
                [record for page in pages for record in records(page)],
                np.concatenate([np.asarray(page["embeddings"], np.float32) for page in pages])
                if with_vectors
                else None,
            )


def _schema(collection: Collection) -> int:
    return int((collection.metadata or {})["memory_mgr_schema"])
