"""Keeping: pruning, consolidation, summaries, the catalog's repair."""

from __future__ import annotations

from collections.abc import Callable

from memory_mgr.engine import validation as check
from memory_mgr.engine.operations import undo
from memory_mgr.engine.scope import Scope
from memory_mgr.engine.summarizing import Summaries
from memory_mgr.types import MemoryEntry, MemoryType, UpkeepReport


class Keeping(Scope):
    """The calls that look after what is there."""

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
            quota: Entries to keep at most; default: `config.long_term.quota` for long_term, else no quota.
            dry_run: Only say what would go, and why.

        Raises:
            InvalidInputError: The quota is negative, the tier unknown.
        """
        tier = check.checked_tier(memory_type)
        if quota is not None:
            check.checked_count(quota, "quota")
        elif tier is MemoryType.LONG_TERM:
            quota = self.config.long_term.quota
        self._open() if dry_run else self._writable()
        with self._lease() as repository:
            return self._upkeep.prune(repository, tier, quota, dry_run=dry_run)

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

    def rebuild_catalog(self) -> int:
        """Make the SQLite index anew from Chroma; the number of entries in it."""
        with self._lease() as repository:
            return repository.rebuild()
