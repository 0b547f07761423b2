"""A namespace as a file: written beside its place and put there when it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO

from memory_mgr.errors import InvalidInputError
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.passages import with_passages
from memory_mgr.stores.portable import Header, entry_line, ids_in_order
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection

Progress = Callable[[int, int], None]
"""Called with (entries done, entries in all)."""

_BATCH = 500


class Export:
    """What is to be written.

    Args:
        repository: The namespace.
        selection: Which entries.
        space: Whose vectors to write, None = none.
        progress: Told how far it is.
    """

    def __init__(
        self,
        repository: Repository,
        selection: Selection,
        space: EmbeddingSpace | None,
        progress: Progress | None = None,
    ) -> None:
        self._repository = repository
        self._selection = selection
        self._space = space
        self._progress = progress

    def to(self, target: str | Path | TextIO) -> int:
        """Write to a file or an open text stream; how many entries it was.

        Raises:
            InvalidInputError: The file cannot be written; a file that was there is as it was.
        """
        if not isinstance(target, str | Path):
            return self._write(target)
        path = Path(target)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("w", encoding="utf-8", newline="\n") as stream:
                count = self._write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise InvalidInputError(
                f"cannot write {str(path)!r}: {error.strerror or error}; give a file in a writable folder"
            ) from error
        return count

    def _write(self, stream: TextIO) -> int:
        # Held throughout, so that the number in the first line is that of the lines, and all are of one moment.
        with self._repository.lock:
            ids = self._repository.read(lambda catalog: ids_in_order(catalog, self._selection))
            stream.write(f"{Header(len(ids), self._space).line()}\n")
            for done, line in enumerate(self._lines(ids), 1):
                stream.write(f"{line}\n")
                if self._progress is not None and (done % _BATCH == 0 or done == len(ids)):
                    self._progress(done, len(ids))
        return len(ids)

    def _lines(self, ids: list[str]) -> Iterator[str]:
        for start in range(0, len(ids), _BATCH):
            entries = self._repository.read(partial(Catalog.by_ids, ids=ids[start : start + _BATCH]))
            if self._space is None:
                yield from map(entry_line, entries)
                continue
            parts = {entry.id: with_passages(entry) for entry in entries}
            vectors = self._repository.vectors([part for split in parts.values() for part in split])
            for entry in entries:
                own = [vectors[part.id] for part in parts[entry.id] if part.id in vectors]
                # All are there but for a text that another version cut into passages; it is embedded again then.
                yield entry_line(entry, own if len(own) == len(parts[entry.id]) else ())
