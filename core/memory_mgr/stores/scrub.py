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

_SEGMENT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WAIT_SECONDS = 60
"""For other writers of the file."""


def scrub(folder: Path) -> None:
    """Remove what no collection holds any more from Chroma's folder; takes about a second for each 100 MB.

    Raises:
        StoreUnavailableError: The file is in use or cannot be written; what was deleted is deleted all the same.
    """
    try:
        with closing(sqlite3.connect(folder / "chroma.sqlite3", timeout=_WAIT_SECONDS, isolation_level=None)) as db:
            held = {row[0] for row in db.execute("SELECT id FROM segments")}
            db.execute("VACUUM")
        for path in folder.iterdir():
            if path.is_dir() and _SEGMENT.fullmatch(path.name) and path.name not in held:
                shutil.rmtree(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailableError(
            f"the entries are deleted, but their bytes are still in the files of {folder}: {error}; call forget() "
            "again when nothing else writes to it"
        ) from error
