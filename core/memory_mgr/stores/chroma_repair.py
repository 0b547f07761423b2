"""An index that embedded Chroma cannot read, made anew from what its files and Chroma's log still have.

Chroma saves an index after every 250 writes, file by file; killed in between it leaves files of two states, and reads
the collection no more (chromadb 1.5.9). Texts and metadata are in its SQLite file, the vectors written since the last
save in its log there, those of before in the index's own files. So these are taken out and put aside, the index is
deleted, Chroma makes another of its log, and the others are written back. At every moment each vector is in the index,
aside, or in the log. A repair that is killed goes on where it was: the name of what is aside tells whether the old
index is still to be deleted.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from memory_mgr.bars import progress_bar
from memory_mgr.errors import StoreError, StoreUnavailableError
from memory_mgr.protocols import Vectors
from memory_mgr.stores.index_files import LABELS, is_whole, labels_of_ids, looks_whole, saved_vectors

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)
VectorsOf = Callable[["Collection", list[str]], tuple[Sequence[str], Vectors]]
"""Makes the vectors of some ids of a collection anew: the ids, and the vectors of shape (ids, dimensions)."""
_TAKEN, _ASIDE = ".taken.npz", ".aside.npz"
"""What was put aside, as long as the old index may be there, and then."""
_BATCH = 500
_WAIT_SECONDS = 60
_BAR_SECONDS = 1.0
"""A repair that takes longer shows how far it is."""


_SEGMENTS = """
SELECT c.id, c.name, v.id, m.id, coalesce(q.seq_id, 0) FROM collections c
JOIN segments v ON v.collection = c.id AND v.scope = 'VECTOR'
JOIN segments m ON m.collection = c.id AND m.scope = 'METADATA'
LEFT JOIN max_seq_id q ON q.segment_id = v.id
"""
"""Of each collection its id and name, its index, where its entries are, and up to which write the index was saved."""
_OF_DATABASE = " JOIN databases d ON d.id = c.database_id WHERE d.tenant_id = ? AND d.name = ?"
_TABLES = {"collections", "segments", "max_seq_id", "databases"}
Database = tuple[str, str]
"""A tenant, and the name of a database of theirs: names of collections are unique in one only."""
DEFAULT: Database = "default_tenant", "default_database"


def databases(chroma: Path) -> list[Database]:
    """All that there are, sorted; none before Chroma has made its tables.

    Args:
        chroma: Chroma's folder, which nobody has open.
    """
    with _sqlite(chroma) as db:
        made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'databases'").fetchone()
        return db.execute("SELECT tenant_id, name FROM databases ORDER BY 1, 2").fetchall() if made else []


def suspects(chroma: Path, database: Database = DEFAULT) -> tuple[set[str], dict[str, Path]]:
    """What is to be looked at before Chroma reads it, as far as a glance tells.

    Args:
        chroma: Chroma's folder, which nobody has open.
        database: Whose collections.

    Returns:
        The names of collections whose index is not as it was saved, or was not repaired to the end; and the folders of
        the other indexes that were saved, by name.
    """
    if not (chroma / "chroma.sqlite3").is_file():
        return set(), {}
    with _sqlite(chroma) as db:
        # A kill may have come before Chroma had made its tables; it makes the others then.
        made = {name for (name,) in db.execute("SELECT name FROM sqlite_master")} >= _TABLES
        rows = db.execute(_SEGMENTS + _OF_DATABASE, database).fetchall() if made else []
    left = {path.name.partition(".")[0] for path in chroma.glob("*.npz")}
    saved = {name: chroma / index for _, name, index, _, last in rows if last or (chroma / index / LABELS).exists()}
    damaged = {name for _, name, index, _, _ in rows if index in left}
    damaged |= {name for name, index in saved.items() if not looks_whole(index)}
    return damaged, {name: index for name, index in saved.items() if name not in damaged}


def needs_repair(chroma: Path, collection: str) -> bool:
    """Whether the index of a collection is of two states, or lacks entries; to be asked when Chroma fails.

    Args:
        chroma: Chroma's folder, to which nobody writes.
        collection: The id of the collection.
    """
    with _sqlite(chroma) as db:
        index = _Index.of(db, chroma, collection)
    return bool(index.is_torn() or index.taken.exists() or index.aside.exists() or index.unknown())


def put_aside(chroma: Path, collection: str) -> None:
    """Take the vectors that only the index has out of it, and delete it.

    Args:
        chroma: Chroma's folder, which nobody has open.
        collection: The id of the collection.
    """
    with _sqlite(chroma) as db:
        index = _Index.of(db, chroma, collection)
        if not index.taken.exists():
            if index.aside.exists() and not index.is_torn():
                return
            _save(index.taken, _taken_out(index))
        db.execute("DELETE FROM max_seq_id WHERE segment_id = ?", (index.folder.name,))
        db.commit()
    if index.folder.exists():
        shutil.rmtree(index.folder)
    os.replace(index.taken, index.aside)


def _taken_out(index: _Index) -> dict[str, NDArray[Any]]:
    """What is to be put aside: vectors, of a repair before this one too, and the ids that have none."""
    wanted = index.ids - index.logged
    ids, vectors = saved_vectors(index.folder, sorted(wanted))
    found = dict(zip(ids, vectors, strict=True))
    if index.aside.exists():
        found = {i: vector for i, vector in _kept(index.aside)[0].items() if i in wanted} | found
    return {
        "ids": np.array(list(found), str),
        "vectors": np.array(list(found.values()), np.float32),
        "lost": np.array(sorted(wanted - found.keys()), str),
    }


def _kept(aside: Path) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """The vectors that were put aside by id, and the ids that had none."""
    with np.load(aside) as kept:
        return dict(zip(kept["ids"].tolist(), kept["vectors"], strict=True)), kept["lost"].tolist()


def put_back(chroma: Path, collection: Collection, vectors_of: VectorsOf | None) -> None:
    """Write what was put aside into the index that Chroma has made of its log meanwhile.

    Args:
        chroma: Chroma's folder.
        collection: Its collection, to which nobody else writes.
        vectors_of: Makes those vectors anew that the files had no more.

    Raises:
        StoreError: There are such, and nothing to make them with.
    """
    with _sqlite(chroma) as db:
        aside = _Index.of(db, chroma, str(collection.id)).aside
    kept, without = _kept(aside)
    # What was deleted last may have been in the log only.
    there = set(collection.get(include=[])["ids"])
    saved = [(i, vector) for i, vector in kept.items() if i in there]
    lost = [i for i in without if i in there]
    with progress_bar(f"repairing {collection.name}", after_seconds=_BAR_SECONDS) as progress:
        for start in range(0, len(saved), _BATCH):
            part = saved[start : start + _BATCH]
            collection.upsert(ids=[i for i, _ in part], embeddings=np.stack([vector for _, vector in part]))
            progress(start + len(part), len(there))
        if lost and vectors_of is None:
            raise StoreError(
                f"{len(lost)} of the vectors of {collection.name} were lost with a damaged index; open the store once "
                "with the embedder that wrote them, which makes them anew"
            )
        for start in range(0, len(lost), _BATCH):
            ids, vectors = cast("VectorsOf", vectors_of)(collection, lost[start : start + _BATCH])
            collection.upsert(ids=list(ids), embeddings=cast("Any", vectors))
            progress(len(saved) + start + len(ids), len(there))
    aside.unlink()
    log.warning(
        "the index of %s was damaged and has been made anew: %d vectors from its files, %d embedded again, the others "
        "from Chroma's log",
        collection.name,
        len(saved),
        len(lost),
    )


@dataclass(frozen=True, slots=True)
class _Index:
    """A collection's index, and what Chroma's SQLite file says of it.

    Attributes:
        folder: Where it is saved.
        ids: Of all entries of the collection.
        logged: Those whose vector is in the log since the last save.
    """

    folder: Path
    ids: set[str]
    logged: set[str]

    @classmethod
    def of(cls, db: sqlite3.Connection, chroma: Path, collection: str) -> _Index:
        (told,) = db.execute(f"{_SEGMENTS} WHERE c.id = ?", (collection,)).fetchall()
        _, _, index, entries, saved = told
        ids = db.execute("SELECT embedding_id FROM embeddings WHERE segment_id = ?", (entries,))
        written = db.execute(
            "SELECT DISTINCT id FROM embeddings_queue WHERE topic LIKE ? AND seq_id > ? AND vector IS NOT NULL",
            (f"%/{collection}", saved),
        )
        return cls(chroma / index, {row[0] for row in ids}, {row[0] for row in written})

    @property
    def taken(self) -> Path:
        return self.folder.with_name(self.folder.name + _TAKEN)

    @property
    def aside(self) -> Path:
        return self.folder.with_name(self.folder.name + _ASIDE)

    def is_torn(self) -> bool:
        """Whether Chroma has files there that it cannot read."""
        return (self.folder / LABELS).exists() and not is_whole(self.folder)

    def unknown(self) -> set[str]:
        """Entries whose vector is neither in the log nor in files that can be read."""
        try:
            return self.ids - self.logged - labels_of_ids(self.folder).keys()
        except (OSError, ValueError):
            return self.ids - self.logged


def _save(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """At once or not at all."""
    new = file.with_name(f"{file.name}.new")
    with new.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, file)


@contextmanager
def _sqlite(chroma: Path) -> Iterator[sqlite3.Connection]:
    """Chroma's SQLite file; while Chroma has it open too, nothing may be asked of Chroma."""
    try:
        with closing(sqlite3.connect(chroma / "chroma.sqlite3", timeout=_WAIT_SECONDS)) as db:
            yield db
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{chroma / 'chroma.sqlite3'} cannot be read: {error}") from error
