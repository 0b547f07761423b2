"""An index that embedded Chroma lacks: its log by collection.

Before it writes to a collection, and when it first reads one, Chroma looks in its log for what came after the
collection's vectors were last saved. It has no index for that and goes through all that others wrote since, so that
everything takes longer the more small collections there are, which are never saved (chromadb 1.5.9).
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

log = logging.getLogger(__name__)
_TABLE = "embeddings_queue"
_INDEX = f"CREATE INDEX IF NOT EXISTS memory_mgr_log_by_collection ON {_TABLE} (topic)"
_OPEN_FILES = Path("/proc/self/fd")


def index_log(chroma: Path) -> bool:
    """Make the index if it is missing; without it everything works, but slowly.

    Args:
        chroma: The folder of Chroma's files, which is not to be opened meanwhile.

    Returns:
        Whether it is there now. Not so if Chroma has not made its tables yet, or the application has a client of its
        own on the folder.
    """
    file = chroma / "chroma.sqlite3"
    if not file.is_file() or _is_open(file):
        return False
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_TABLE,)).fetchone():
                return False
            db.execute(_INDEX)
    except sqlite3.Error as error:
        log.warning("Chroma's log in %s has no index by collection, which costs time: %s", chroma, error)
        return False
    return True


def _is_open(file: Path) -> bool:
    """Whether this process has a file open, where the system tells.

    Chroma's SQLite and Python's are two copies of it, and of two in one process neither sees the locks of the other.
    """
    links = []
    for opened in _OPEN_FILES.iterdir() if _OPEN_FILES.is_dir() else ():
        with suppress(FileNotFoundError):  # it was the one that lists them
            links.append(os.readlink(opened))
    return str(file.resolve()) in links
