"""Stores written by earlier versions, brought to the schema of this one: with a copy of what was, and a dry run.

A step is a function from the record of an entry (see `stores.codec`) to its record in the next schema. It must leave
alone what is in the next schema already, because a migration that was interrupted is begun again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from memory_mgr.config import MemoryConfig
from memory_mgr.errors import StoreUnavailableError
from memory_mgr.stores import schema as schemas
from memory_mgr.stores.codec import entry_of, short_record_of
from memory_mgr.types import MemoryType

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

    from memory_mgr.stores.chroma_connection import Clients

T = TypeVar("T")
Record = dict[str, Any]


def _shortened(record: Record) -> Record:
    """Schema 2: no id, times as numbers."""
    if "id" not in record:
        return record
    return short_record_of(entry_of("", record, (), MemoryType.LONG_TERM))


STEPS: dict[int, Callable[[Record], Record]] = {1: _shortened}
"""By the schema a step leads away from, to the one above it."""


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What `migrate` did, or with `dry_run` would do.

    Attributes:
        namespaces: How many had an earlier schema.
        entries: How many were in them, passages included.
        backup: Folder with a copy of the store as it was; None if there was nothing to do, or it is on a server.
    """

    namespaces: int
    entries: int
    backup: Path | None


def migrate(config: MemoryConfig, *, dry_run: bool = False) -> MigrationReport:
    """Bring every namespace of a store to the schema of this version.

    Of an embedded store a copy is made first, beside it. A store on a server is backed up by whoever runs the server.

    Args:
        config: Where the store is; its namespace does not matter.
        dry_run: Only count.

    Raises:
        StoreUnavailableError: The store is in use, cannot be reached, or its copy cannot be written.
    """
    from memory_mgr.stores.chroma_errors import map_store_errors
    from memory_mgr.stores.opening import connected

    with connected(config) as clients, map_store_errors("migrating"):
        with clients.call():
            outdated = {
                collection.name: collection.metadata
                for collection in clients.client.list_collections()
                if 0 < (collection.metadata or {}).get("memory_mgr_schema", 0) < schemas.SCHEMA_VERSION
            }
        namespaces = len({metadata["namespace"] for metadata in outdated.values()})
        entries = sum(_with(clients, name, lambda collection: collection.count()) for name in outdated)
        backup = None
        if outdated and not dry_run:
            backup = _copied(config)
            for name in outdated:
                _with(clients, name, _convert)
            if config.catalogs is not None:
                shutil.rmtree(config.catalogs, ignore_errors=True)  # made anew at the next opening
        return MigrationReport(namespaces, entries, backup)


def _with(clients: Clients, name: str, work: Callable[[Collection], T]) -> T:
    with clients.call(name):
        return work(clients.client.get_collection(name, embedding_function=None))


def _convert(collection: Collection, batch: int = 500) -> None:
    """All entries first, the schema last: a collection that is half done counts as not done."""
    told = dict(collection.metadata or {})
    written, schema = told["memory_mgr_schema"], schemas.SCHEMA_VERSION
    ids = collection.get(include=[])["ids"]
    for start in range(0, len(ids), batch):
        found: Any = collection.get(ids=ids[start : start + batch], include=["metadatas"])
        records: list[Any] = [
            {"entry": _converted(metadata["entry"], written, schema)} for metadata in found["metadatas"]
        ]
        collection.update(ids=found["ids"], metadatas=records)
    collection.modify(metadata={**told, "memory_mgr_schema": schema})


def _converted(record: str, written: int, schema: int) -> str:
    values = json.loads(record)
    for version in range(written, schema):
        values = STEPS[version](values)
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _copied(config: MemoryConfig) -> Path | None:
    """A copy of an embedded store beside it, under a name that is free."""
    if config.path is None or config.in_memory:
        return None
    number = 1
    while (target := config.path.with_name(f"{config.path.name}.backup-{number}")).exists():
        number += 1
    try:
        shutil.copytree(config.path, target)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise StoreUnavailableError(
            f"{config.path} cannot be copied to {target} before it is migrated: {error}; make room there"
        ) from error
    return target
