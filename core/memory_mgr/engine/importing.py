"""A file of `export_memories` read back: checked whole before anything is written, then written in batches.

An entry that is there already as it is in the file is left alone. So reading the same file again changes nothing, and
reading it again after a crash goes on where that left off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from memory_mgr.engine.consolidating import look_again
from memory_mgr.engine.import_lines import Imported, read_line
from memory_mgr.engine.runtime import Runtime
from memory_mgr.errors import ImportFileError, InvalidInputError
from memory_mgr.stores.codec import encode_entry
from memory_mgr.stores.passages import document_vectors, with_passages
from memory_mgr.stores.portable import Header, read_header
from memory_mgr.stores.repository import Repository
from memory_mgr.types import ImportReport, MemoryEntry

OnConflict = Literal["error", "keep", "replace"]
Progress = Callable[[int, int], None]
"""Called with (entries done, entries in all)."""
Outcome = Literal["added", "replaced", "unchanged"]

_IN_MEMORY = 16 * 2**20
"""Bytes of a stream that are held in memory to be read twice; more go to a temporary file."""


class Import:
    """One file, or stream, to be read into one namespace.

    Args:
        runtime: The shared pieces.
        repository: The namespace.
        on_conflict: What becomes of an entry whose id is there with something else in it.
        progress: Told how far it is.
    """

    def __init__(
        self, runtime: Runtime, repository: Repository, on_conflict: OnConflict, progress: Progress | None
    ) -> None:
        self._runtime = runtime
        self._repository = repository
        self._on_conflict = on_conflict
        self._progress = progress

    def read(self, source: str | Path | TextIO) -> ImportReport:
        """Check all of it, then store it.

        Raises:
            ImportFileError: A line cannot be used, or an id is there with something else in it.
            InvalidInputError: The file cannot be read.
        """
        with closing(_opened(source)) as lines:
            total = self._check(lines)
            lines.seek(0)
            counts: Counter[Outcome] = Counter()
            for batch in self._batches(lines):
                counts += self._write(batch)
                if self._progress is not None:
                    self._progress(counts.total(), total)
            return ImportReport(counts["added"], counts["replaced"], counts["unchanged"])

    def _check(self, lines: IO[bytes]) -> int:
        """Look at every line; how many entries there are."""
        seen: dict[str, int] = {}
        for batch in self._batches(lines):
            for item in batch:
                before = seen.setdefault(item.entry.id, item.line)
                if before != item.line:
                    raise ImportFileError(item.line, f"has the id {item.entry.id!r} of line {before} again")
            self._sorted_out(batch)
        return len(seen)

    # --- reading -------------------------------------------------------------------------------------------

    def _batches(self, lines: IO[bytes]) -> Iterator[list[Imported]]:
        batch: list[Imported] = []
        for item in self._items(lines):
            batch.append(item)
            if len(batch) == self._runtime.config.write_batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _items(self, lines: IO[bytes]) -> Iterator[Imported]:
        header: Header | None = None
        count = 0
        for number, text in _decoded(lines):
            if header is None:
                header = _header(text, number)
                continue
            item = read_line(text, number, self._repository.namespace, header.space, self._runtime.space)
            yield replace(item, entry=self._runtime.intake.imported(item.entry))
            count += 1
        if header is None:
            raise ImportFileError(1, "is missing: the file is empty")
        if count != header.entries:
            raise ImportFileError(1, f"promises {header.entries} entries, but {count} follow; the file is not whole")

    # --- storing -------------------------------------------------------------------------------------------

    def _sorted_out(self, batch: Sequence[Imported]) -> dict[Outcome, list[Imported]]:
        """What is to become of each entry.

        Raises:
            ImportFileError: An id is there with something else in it, and that is not to be kept or replaced.
        """
        ids = [item.entry.id for item in batch]
        known = {entry.id: entry for entry in self._repository.read(lambda catalog: catalog.by_ids(ids))}
        sorted_out: dict[Outcome, list[Imported]] = {"added": [], "replaced": [], "unchanged": []}
        for item in batch:
            sorted_out[self._outcome(item, known.get(item.entry.id))].append(item)
        return sorted_out

    def _outcome(self, item: Imported, there: MemoryEntry | None) -> Outcome:
        if there is None:
            return "added"
        if self._on_conflict == "keep" or _same(with_passages(item.entry)[0], there):
            return "unchanged"
        if there.memory_type is not item.entry.memory_type:
            raise ImportFileError(
                item.line,
                f"has the id {there.id!r}, which is there in {there.memory_type.value}; "
                'delete that entry, or keep it with on_conflict="keep"',
            )
        if self._on_conflict == "error":
            raise ImportFileError(
                item.line,
                f"has the id {there.id!r}, which is there with something else in it; "
                'choose with on_conflict="keep" or "replace"',
            )
        return "replaced"

    def _write(self, batch: Sequence[Imported]) -> Counter[Outcome]:
        todo = self._sorted_out(batch)
        embedded = self._embedded([*todo["added"], *todo["replaced"]])
        with self._repository.lock:
            todo = self._sorted_out(batch)
            writing = [item for item in (*todo["added"], *todo["replaced"]) if item.entry.id in embedded]
            parts = [part for item in writing for part in with_passages(item.entry)]
            if parts:
                self._repository.skip_sequences(max(part.sequence for part in parts))
                look_again(self._repository, min(part.sequence for part in parts))
                old = self._passages([item.entry.id for item in todo["replaced"]])
                vectors = np.concatenate([embedded[item.entry.id] for item in writing])
                self._repository.add(parts, vectors, replacing=old)
        return Counter({outcome: len(items) for outcome, items in todo.items()})

    def _passages(self, wholes: Sequence[str]) -> list[MemoryEntry]:
        return self._repository.read(lambda catalog: catalog.passages(wholes)) if wholes else []

    def _embedded(self, items: Sequence[Imported]) -> dict[str, NDArray[np.float32]]:
        """The vectors of entries and their passages by id: those of the file, else new ones."""
        parts = {item.entry.id: with_passages(item.entry) for item in items}
        found = {i.entry.id: np.stack(i.vectors) for i in items if len(i.vectors) == len(parts[i.entry.id])}
        wanting = [item.entry.id for item in items if item.entry.id not in found]
        unembedded = [part for memory_id in wanting for part in parts[memory_id]]
        if not unembedded:
            return found
        vectors = document_vectors(unembedded, lambda texts: self._runtime.embed(texts, "document"))
        start = 0
        for memory_id in wanting:
            end = start + len(parts[memory_id])
            found[memory_id] = vectors[start:end]
            start = end
        return found


def _same(entry: MemoryEntry, other: MemoryEntry) -> bool:
    return (entry.content, entry.memory_type, encode_entry(entry)) == (
        other.content,
        other.memory_type,
        encode_entry(other),
    )


def _header(text: str, number: int) -> Header:
    try:
        return read_header(text)
    except ValueError as error:
        raise ImportFileError(number, str(error)) from error


def _decoded(lines: IO[bytes]) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    for number, raw in enumerate(lines, 1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ImportFileError(number, f"is not UTF-8 ({error.reason} at byte {error.start})") from error
        if text.strip():
            yield number, text


def _opened(source: str | Path | TextIO) -> IO[bytes]:
    """Lines that can be read twice."""
    if isinstance(source, str | Path):
        try:
            return Path(source).open("rb")
        except OSError as error:
            raise InvalidInputError(
                f"cannot read {str(source)!r}: {error.strerror or error}; give a file written by export_memories"
            ) from error
    held: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller closes it
    for text in source:
        held.write(text.encode("utf-8", "surrogatepass"))
    held.seek(0)
    return held
