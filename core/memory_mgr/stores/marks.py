"""What the catalog remembers of how far consolidation has come; if it is lost, all is looked at again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from memory_mgr.stores.catalog import Catalog
from memory_mgr.types import MemoryEntry

CONSOLIDATED = "consolidated/2"
"""Up to which sequence was consolidated; if it is lost, all is looked at again."""
ADVISED = "advised_through"
"""The same for what the model was asked about."""
_CHANGED = "changed/"


def through(catalog: Catalog, mark: str) -> int:
    """The sequence up to which everything was looked at, 0 = nothing was."""
    return int(catalog.meta(mark) or 0)


def move(catalog: Catalog, mark: str, sequence: int) -> None:
    """Everything up to this sequence was looked at."""
    catalog.set_meta(mark, str(sequence))


def note_changed(catalog: Catalog, memory_ids: Iterable[str]) -> None:
    """Entries that say something else now: they are new again, wherever they stand."""
    with catalog.transaction():
        for memory_id in memory_ids:
            catalog.set_meta(f"{_CHANGED}{memory_id}", "")


def note_late(catalog: Catalog, entries: Iterable[MemoryEntry]) -> None:
    """Those of the entries that came to the consolidated tier after later ones were looked at: they are new there."""
    done = max(through(catalog, CONSOLIDATED), through(catalog, ADVISED))
    note_changed(catalog, [entry.id for entry in entries if entry.sequence <= done])


def changed(catalog: Catalog) -> set[str]:
    """Ids that were noted and not forgotten."""
    rows = catalog.all_rows("SELECT substr(key, ?) FROM meta WHERE key GLOB ?", (len(_CHANGED) + 1, f"{_CHANGED}*"))
    return {str(row[0]) for row in rows}


def forget_changed(catalog: Catalog, memory_ids: Collection[str]) -> None:
    """These were looked at."""
    with catalog.transaction():
        keys = ((f"{_CHANGED}{memory_id}",) for memory_id in memory_ids)
        catalog.db.executemany("DELETE FROM meta WHERE key = ?", keys)
