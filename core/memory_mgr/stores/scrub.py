"""What Chroma deleted, gone from the files of an embedded store too.

Deleting a collection leaves its rows in free pages of Chroma's SQLite file and its index in a folder of its own, until
they happen to be overwritten. VACUUM writes the file anew without free pages; the folders are removed.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from memory_mgr.errors import StoreUnavailableError
from memory_mgr.stores.embedded import closed_store

_SEGMENT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WAIT_SECONDS = 60
"""For other writers of the file."""


def scrub(folder: Path) -> None:
    """Remove what no collection holds any more from Chroma's folder; takes about a second for each 100 MB.

    Raises:
        StoreUnavailableError: The file is in use or cannot be written; what was deleted is deleted all the same.
    """
    try:
        # Looked for before it is asked which are held: an index that is made meanwhile is not among them.
        indexes = [path for path in folder.iterdir() if path.is_dir() and _SEGMENT.fullmatch(path.name)]
        with closing(sqlite3.connect(folder / "chroma.sqlite3", timeout=_WAIT_SECONDS, isolation_level=None)) as db:
            held = {row[0] for row in db.execute("SELECT id FROM segments")}
            db.execute("VACUUM")
        for path in indexes:
            if path.name not in held:
                shutil.rmtree(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailableError(
            f"what was deleted is deleted, but its bytes are still in the files of {folder}: {error}; call this again "
            "when nothing else uses them"
        ) from error


def scrub_closed(folder: Path) -> int:
    """Scrub a store that nobody has open: of a memory that is closed, or of a Chroma server that is stopped.

    Args:
        folder: What `path` or `chroma run --path` name.

    Returns:
        How many bytes smaller it is.

    Raises:
        InvalidInputError: There is no store in the folder.
        StoreUnavailableError: It is in use, or cannot be written.
    """
    before = _size(folder)
    with closed_store(folder) as client:
        client.alone(lambda: scrub(client.folder))
    return before - _size(folder)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
