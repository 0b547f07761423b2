"""All damaged indexes of a store that nobody has open, made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memory_mgr.stores.chroma_errors import map_store_errors
from memory_mgr.stores.chroma_repair import databases
from memory_mgr.stores.embedded import EmbeddedClient, closed_store, files_of


def repair_closed(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> list[str]:
    """Repair a store: of a memory that is closed, or of a Chroma server that is stopped, in all its databases.

    Args:
        folder: What `path` or `chroma run --path` name.
        progress: Called with (collections looked at, collections in all), for each database anew.

    Returns:
        The names of the collections whose index was damaged.

    Raises:
        InvalidInputError: There is no store in the folder.
        StoreUnavailableError: It is in use, or cannot be written.
        StoreError: Vectors are lost that only the embedder can make anew; all others are there.
    """
    repaired: list[str] = []
    for database in databases(files_of(folder)):
        with closed_store(folder, database) as client, map_store_errors("repairing"):
            repaired += _repaired(client, progress)
    return repaired


def _repaired(client: EmbeddedClient, progress: Callable[[int, int], None]) -> list[str]:
    names = [collection.name for collection in client.client.list_collections()]
    repaired = []
    for done, name in enumerate(names, 1):
        if client.mend(name, None):
            repaired.append(name)
        progress(done, len(names))
    return repaired
