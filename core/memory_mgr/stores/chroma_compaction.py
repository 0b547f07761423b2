"""A collection made anew without what deleted entries leave in its index.

Chroma's index only marks what is deleted: a window through which a long chat passes would keep every message it ever
held, in memory and on disk, and write it again with each save. So what is left is copied into a new collection,
which then takes the name of the old one. At any moment one of the two holds everything: the copy counts only
when the old one is gone, which is deleted only when the copy is whole.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from chromadb.api import ClientAPI
from chromadb.api.models.Collection import Collection
from chromadb.errors import NotFoundError

_BATCH = 500


def existing(client: ClientAPI, name: str) -> Collection:
    """A collection; if making it anew was interrupted at the end, its copy.

    Raises:
        NotFoundError: There is none.
    """
    try:
        return client.get_collection(name, embedding_function=None)
    except NotFoundError:
        copy = client.get_collection(_copy_name(name), embedding_function=None)
        copy.modify(name=name)
        return copy


def compact(client: ClientAPI, name: str, configuration: Any) -> Collection:
    """Make a collection anew; nobody may write to it meanwhile.

    Args:
        client: Chroma.
        name: Of the collection.
        configuration: Of the new one.

    Raises:
        NotFoundError: There is no such collection.
    """
    old = existing(client, name)
    drop_copy(client, name)
    copy = client.create_collection(
        _copy_name(name), embedding_function=None, configuration=configuration, metadata=old.metadata
    )
    ids = old.get(include=[])["ids"]
    for start in range(0, len(ids), _BATCH):
        found: Any = old.get(ids=ids[start : start + _BATCH], include=["documents", "metadatas", "embeddings"])
        copy.upsert(
            ids=found["ids"],
            embeddings=found["embeddings"],
            documents=found["documents"],
            metadatas=found["metadatas"],
        )
    client.delete_collection(name)
    copy.modify(name=name)
    return copy


def drop_copy(client: ClientAPI, name: str) -> None:
    """Delete a copy that was not finished; the collection itself is there."""
    with suppress(NotFoundError):
        client.delete_collection(_copy_name(name))


def _copy_name(name: str) -> str:
    return f"{name}-compacted"
