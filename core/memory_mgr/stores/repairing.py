"""All damaged indexes of a store that nobody has open, made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memory_mgr.stores.chroma_errors import map_store_errors
from memory_mgr.stores.embedded import closed_store


def repair_closed(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
    """Repair a store: of a memory that is closed, or of a Chroma server that is stopped, in its default database.

    Args:
        folder: What `path` or `chroma run --path` name.
        progress: Called with (collections looked at, collections in all).

    Returns:
        The names of the collections whose index was damaged.

    Raises:
        InvalidInputError: There is no store in the folder.
        StoreUnavailableError: It is in use, or cannot be written.
        StoreError: Vectors are lost that only the embedder can make anew; all others are there.
    """
    repaired = []
    with closed_store(folder) as client, map_store_errors("repairing"):
        names = [collection.name for collection in client.client.list_collections()]
        for done, name in enumerate(names, 1):
            if client.mend(name, None):
                repaired.append(name)
            progress(done, len(names))
    return repaired
