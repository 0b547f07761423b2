"""Keeping: pruning, consolidation, summaries, the catalog's repair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TextIO

from memory_mgr.engine import validation as check
from memory_mgr.engine.exporting import Export
from memory_mgr.engine.importing import Import
from memory_mgr.engine.operations import undo
from memory_mgr.engine.scope import Scope
from memory_mgr.engine.summarizing import Summaries
from memory_mgr.errors import InvalidInputError
from memory_mgr.events import observed
from memory_mgr.types import Filters, ImportReport, MemoryEntry, MemoryType, Tiers, UpkeepReport


class Keeping(Scope):
    """The calls that look after what is there."""

    @observed("prune")
    def prune(
        self,
        memory_type: MemoryType | str = MemoryType.LONG_TERM,
        *,
        quota: int | None = None,
        dry_run: bool = False,
    ) -> UpkeepReport:
        """Let go what is least worth keeping: hidden at once, deleted when `config.grace_days` are over.

        Args:
            memory_type: The tier.
            quota: Entries to keep at most; default: the tier's in the config (long_term, episodic), else none.
            dry_run: Only say what would go, and why.

        Raises:
            InvalidInputError: The quota is negative, the tier unknown.
        """
        tier = check.checked_tier(memory_type)
        if quota is not None:
            check.checked_count(quota, "quota")
        else:
            quota = getattr(getattr(self.config, tier.value), "quota", None)
        self._open() if dry_run else self._writable()
        with self._lease() as repository:
            return self._upkeep.prune(repository, tier, quota, dry_run=dry_run)

    @observed("consolidate")
    def consolidate(
        self,
        *,
        dry_run: bool = False,
        max_seconds: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> UpkeepReport:
        """Merge duplicates, hide what newer facts replace, summarise what is not yet; only what is new is looked at.

        Args:
            dry_run: Only say what would change.
            max_seconds: Stop after about this time; the next run goes on.
            progress: Called with (entries looked at, entries in all).

        Raises:
            InvalidInputError: `max_seconds` is not above 0.
        """
        if max_seconds is not None:
            check.checked_positive(max_seconds, "max_seconds")
        self._open() if dry_run else self._writable()
        with self._lease() as repository:
            return self._upkeep.consolidate(repository, dry_run=dry_run, max_seconds=max_seconds, progress=progress)

    @observed("undo")
    def undo(self, operation_id: str) -> int:
        """Take back what a consolidation or pruning changed; how many entries it was.

        Raises:
            InvalidInputError: There is no such operation, or a later one changed the same entries.
        """
        self._writable()
        with self._lease() as repository:
            return undo(repository, check.checked_id(operation_id))

    def summarize(self, conversation_id: str) -> MemoryEntry | None:
        """Summarise what of a conversation is not yet, its window included; None if there is nothing new.

        Raises:
            SummarizationError: The summarizer failed; nothing was changed.
        """
        self._writable()
        summaries = Summaries(self._runtime, self.namespace, check.checked_text(conversation_id, "conversation_id"))
        with self._lease() as repository:
            return summaries.extend(repository, include_window=True)

    @observed("export")
    def export_memories(
        self,
        target: str | Path | TextIO,
        *,
        memory_type: Tiers = None,
        filters: Filters | None = None,
        with_vectors: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write this namespace to a file of JSON lines, history and hidden entries too; how many entries it was.

        Nothing else is written to the namespace meanwhile. The same memories make the same bytes, wherever they are.

        Args:
            target: A file, which appears when it is whole; or an open text stream.
            memory_type: One tier, several, or None for all.
            filters: See `stores.filters`.
            with_vectors: Write vectors too, so that reading them back needs no embedder; 1 kB an entry.
            progress: Called with (entries written, entries in all).

        Raises:
            InvalidInputError: The file cannot be written; one that was there is as it was.
            InvalidFilterError: The filter cannot be read.
        """
        selection = self._selection(memory_type, filters, hidden=True)
        space = self._runtime.space if with_vectors else None
        with self._lease() as repository:
            return Export(repository, selection, space, progress).to(target)

    @observed("import")
    def import_memories(
        self,
        source: str | Path | TextIO,
        *,
        on_conflict: Literal["error", "keep", "replace"] = "error",
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """Read a file of `export_memories` into this namespace.

        All of it is checked before anything is written. Entries that are there as the file has them are left alone,
        so that an import that was interrupted goes on when it is called again. Vectors of another embedder are made
        anew.

        Args:
            source: The file, or an open text stream.
            on_conflict: What becomes of an id that is there with something else in it.
            progress: Called with (entries done, entries in all).

        Raises:
            ImportFileError: A line cannot be used, its number is in `line`; or an id is there with something else in
                it. Nothing was written.
            InvalidInputError: The file cannot be read.
        """
        self._writable()
        if on_conflict not in {"error", "keep", "replace"}:
            raise InvalidInputError(f'on_conflict is "error", "keep" or "replace", not {check.shown(on_conflict)}')
        with self._lease() as repository:
            return Import(self._runtime, repository, on_conflict, progress).read(source)

    def rebuild_catalog(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Make the SQLite index anew from Chroma; the number of entries in it.

        Args:
            progress: Called with (steps done, steps in all); every entry is read and then indexed.
        """
        with self._lease() as repository:
            return repository.rebuild(progress)
