"""`SyncMemoryManager`: every call on one namespace, checked here and carried out by the rooms beside this one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from memory_mgr.config import MemoryConfig
from memory_mgr.engine import replacing
from memory_mgr.engine import validation as check
from memory_mgr.engine.contexts import ContextBuilder
from memory_mgr.engine.conversation import SyncConversationContext
from memory_mgr.engine.operations import undo
from memory_mgr.engine.recall import Recaller
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.summarizing import Summaries
from memory_mgr.engine.upkeep import Upkeep
from memory_mgr.engine.writing import found
from memory_mgr.errors import ConfigurationError, InvalidInputError, UsageError
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.stores.filters import parse_filter
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import JSON, Context, Filters, MemoryEntry, MemoryType, Namespace, NewMemory, Stats, UpkeepReport

Tiers = MemoryType | str | Sequence[MemoryType | str] | None
"""One tier, several, or None for all."""
_RECALLED_TIERS = (MemoryType.LONG_TERM, MemoryType.EPISODIC, MemoryType.SHORT_TERM)


class SyncMemoryManager:
    """Remembers, recalls, and forgets, for one namespace. Thread-safe.

    Args:
        config: The settings; default: an embedded store in ./memory.
        settings: Single settings in place of, or on top of, `config`: `SyncMemoryManager(path="./memory")`.

    Raises:
        ConfigurationError: A setting cannot work.
        StoreUnavailableError: The store cannot be reached, or another process writes to it.
    """

    def __init__(self, config: MemoryConfig | None = None, /, **settings: Any) -> None:
        if config is not None and not isinstance(config, MemoryConfig):
            raise ConfigurationError(f"expected a MemoryConfig, not {check.shown(config)}; or pass path=...")
        self.config = MemoryConfig(**settings) if config is None else config.replaced(**settings)
        self._bind(Runtime(self.config), check.checked_namespace(self.config.namespace), owner=True)

    def _bind(self, runtime: Runtime, namespace: Namespace, *, owner: bool) -> None:
        self._runtime = runtime
        self._owner = owner
        self.namespace = namespace
        self._recaller = Recaller(runtime)
        self._contexts = ContextBuilder(runtime, self._recaller)
        self._upkeep = Upkeep(runtime, namespace)

    def scoped(self, *labels: str | int) -> SyncMemoryManager:
        """A manager for the namespace below this one that `labels` name; it shares the store and is not closed.

        Raises:
            InvalidInputError: A label is empty or not text.
        """
        below = check.checked_namespace(labels)
        manager = object.__new__(type(self))
        namespace = (*self.namespace, *below)
        manager.config = self.config.replaced(namespace=namespace)
        manager._bind(self._runtime, namespace, owner=False)
        return manager

    def conversation(
        self, conversation_id: str, *, short_term: EvictionConfig | None = None
    ) -> SyncConversationContext:
        """One conversation in this namespace, its window kept within `short_term` (default: the config's)."""
        return SyncConversationContext(conversation_id, memory=self, short_term=short_term)

    # --- adding --------------------------------------------------------------------------------------------

    def add_memory(
        self,
        content: str,
        memory_type: MemoryType | str = MemoryType.LONG_TERM,
        metadata: Mapping[str, JSON] | None = None,
        *,
        source: str | None = None,
        timestamp: datetime | None = None,
        importance_score: float | None = None,
        id: str | None = None,
        ttl_seconds: float | None = None,
        speaker: str | None = None,
        pinned: bool = False,
    ) -> MemoryEntry:
        """Store one memory; see `NewMemory` for the arguments. Returns when it is stored.

        Raises:
            InvalidInputError: Something given cannot be stored; nothing was written.
            EmbeddingError: The embedder failed; nothing was written.
            StoreError: The store failed.
        """
        new = NewMemory(
            content=content,
            metadata=metadata,
            source=source,
            timestamp=timestamp,
            importance_score=importance_score,
            id=id,
            ttl_seconds=ttl_seconds,
            speaker=speaker,
            pinned=pinned,
        )
        return self.add_memories([new], memory_type)[0]

    def add_memories(
        self, memories: Sequence[NewMemory | str], memory_type: MemoryType | str = MemoryType.LONG_TERM
    ) -> list[MemoryEntry]:
        """Store several memories in one tier, in order; all are checked before one is written.

        Raises:
            InvalidInputError: One cannot be stored; nothing was written.
            EmbeddingError: The embedder failed; nothing was written.
            StoreError: The store failed.
        """
        self._writable()
        tier = check.checked_tier(memory_type)
        if isinstance(memories, str):
            raise InvalidInputError("memories is a single string; pass a list, or use add_memory")
        news = [check.checked_new(item) for item in memories]
        check.refuse_clashes(news)
        return self._runtime.writer.add(self.namespace, tier, news, self._default_ttl(tier))

    def put_memories(
        self, memories: Sequence[NewMemory], memory_type: MemoryType | str = MemoryType.LONG_TERM
    ) -> list[MemoryEntry]:
        """Store memories by id: what an id held is replaced whole and keeps only `created_at` and its place.

        Raises:
            InvalidInputError: One cannot be stored, has no id, or its id is used twice or in another tier; nothing
                was written.
            EmbeddingError: The embedder failed; nothing was written.
        """
        self._writable()
        tier = check.checked_tier(memory_type)
        news = [check.checked_new(item) for item in memories]
        ids = [new.id for new in news]
        if None in ids or len(set(ids)) < len(ids):
            raise InvalidInputError("each memory that is put needs an id of its own; give one id once")
        if not news:
            return []
        with self._lease() as repository:
            return replacing.put(self._runtime, repository, tier, news, self._default_ttl(tier))

    def _default_ttl(self, tier: MemoryType) -> float | None:
        section = getattr(self.config, tier.value)
        ttl = getattr(section, "ttl_seconds", None)
        return None if ttl is None else float(ttl)

    # --- recalling -----------------------------------------------------------------------------------------

    def search_memory(
        self,
        query: str,
        memory_type: Tiers = None,
        limit: int = 5,
        filters: Filters | None = None,
        *,
        min_score: float | None = None,
        include_superseded: bool = False,
        with_embeddings: bool = False,
        explain: bool = False,
    ) -> list[MemoryEntry]:
        """What is remembered about `query`, best first.

        Args:
            query: A question or some words.
            memory_type: One tier, several, or None for all.
            limit: Entries at most; >= 0.
            filters: See `stores.filters`.
            min_score: Leave out what scores less; in [0, 1].
            include_superseded: Also what was replaced or has expired.
            with_embeddings: Fill `embedding`.
            explain: Fill `explain` with the parts of each score.

        Raises:
            InvalidInputError: The query is empty, the limit negative, a tier unknown.
            InvalidFilterError: The filter has an unknown operator or a wrong operand.
        """
        text = check.checked_text(query, "query")
        count = check.checked_count(limit, "limit")
        least = 0.0 if min_score is None else check.checked_unit(min_score, "min_score")
        selection = self._selection(memory_type, filters, hidden=include_superseded)
        if count == 0:
            return []
        with self._lease() as repository:
            hits = self._recaller.search(repository, text, selection, count, explain=explain)
            hits = [hit for hit in hits if (hit.score or 0) >= least]
            return _embedded(repository, hits) if with_embeddings else hits

    def build_context(
        self,
        query: str,
        budget_tokens: int = 1000,
        conversation_id: str | None = None,
        *,
        memory_type: Tiers = None,
        filters: Filters | None = None,
        reserve_tokens: int = 0,
        include_recent: bool = True,
        sent: Collection[str] | None = None,
        explain: bool = False,
    ) -> Context:
        """What a model should be told before it answers `query`, in at most `budget_tokens` tokens.

        Args:
            query: What is about to be answered.
            budget_tokens: Tokens of `Context.text` at most, counted exactly; >= 0.
            conversation_id: Whose slots, recent turns and summaries to put in; None = only what is recalled.
            memory_type: The tiers to recall from, None = all but working.
            filters: What may be recalled.
            reserve_tokens: Tokens of the budget to leave free.
            include_recent: Put the recent turns into the text; False if the caller sends them as messages.
            sent: With `include_recent=False`: ids of the messages of the conversation that the caller sends itself;
                other messages of the window may then be recalled. None = it sends the whole window.
            explain: Say for each entry why it is in or out.

        Raises:
            InvalidInputError: A number is negative, a text empty.
            InvalidFilterError: The filter cannot be read.
        """
        text = check.checked_text(query, "query")
        budget = check.checked_count(budget_tokens, "budget_tokens")
        reserve = check.checked_count(reserve_tokens, "reserve_tokens")
        if conversation_id is not None:
            check.checked_text(conversation_id, "conversation_id")
        tiers = _RECALLED_TIERS if memory_type is None else memory_type
        selection = self._selection(tiers, filters, hidden=False)
        with self._lease() as repository:
            return self._contexts.build(
                repository,
                text,
                max(0, budget - reserve),
                conversation_id,
                selection,
                include_recent=include_recent,
                sent=sent,
                explain=explain,
            )

    def get_memory(self, memory_id: str, *, with_embedding: bool = False) -> MemoryEntry:
        """One entry by id, superseded or not.

        Raises:
            MemoryNotFoundError: There is none in this namespace.
        """
        with self._lease() as repository:
            entries = found(repository, [check.checked_id(memory_id)])
            return (_embedded(repository, entries) if with_embedding else entries)[0]

    def get_memories(self, ids: Sequence[str]) -> list[MemoryEntry]:
        """Entries by id, superseded and expired ones too, in the order of `ids`; missing ones are left out."""
        if isinstance(ids, str):
            raise InvalidInputError("ids is a single string; pass a list, or use get_memory")
        checked = [check.checked_id(i) for i in ids]
        with self._lease() as repository:
            return repository.read(lambda c: c.by_ids(checked))

    def list_memories(
        self,
        memory_type: Tiers = None,
        *,
        source: str | None = None,
        filters: Filters | None = None,
        limit: int | None = 100,
        offset: int = 0,
        newest_first: bool = False,
        include_superseded: bool = False,
    ) -> list[MemoryEntry]:
        """Entries in order of time.

        Args:
            memory_type: One tier, several, or None for all.
            source: Only those of this stream.
            filters: See `stores.filters`.
            limit: Entries at most, None = all.
            offset: Entries to skip; >= 0.
            newest_first: The other way round.
            include_superseded: Also what was replaced or has expired.

        Raises:
            InvalidInputError: A number is negative, a tier unknown.
            InvalidFilterError: The filter cannot be read.
        """
        if source is not None:
            own = {"source": check.checked_text(source, "source")}
            filters = own if filters is None else {"$and": [own, dict(filters)]}
        selection = self._selection(memory_type, filters, hidden=include_superseded)
        most = None if limit is None else check.checked_count(limit, "limit")
        start = check.checked_count(offset, "offset")
        with self._lease() as repository:
            return repository.read(lambda c: c.listed(selection, limit=most, offset=start, newest_first=newest_first))

    # --- changing ------------------------------------------------------------------------------------------

    def update_memory(
        self,
        memory_id: str,
        *,
        content: str | None = None,
        metadata: Mapping[str, JSON] | None = None,
        importance_score: float | None = None,
        timestamp: datetime | None = None,
        source: str | None = None,
        ttl_seconds: float | None = None,
        pinned: bool | None = None,
    ) -> MemoryEntry:
        """Change what is given of one entry; the rest, and `created_at`, stay.

        Raises:
            MemoryNotFoundError: There is none in this namespace.
            InvalidInputError: Something given cannot be stored; nothing was written.
        """
        self._writable()
        changes: dict[str, Any] = {}
        if content is not None:
            changes["content"] = check.checked_text(content)
        if metadata is not None:
            changes["metadata"] = check.checked_object(metadata, "metadata")
        if importance_score is not None:
            changes["importance_score"] = check.checked_unit(importance_score, "importance_score")
        if timestamp is not None:
            changes["timestamp"] = check.checked_time(timestamp)
        if source is not None:
            changes["source"] = check.checked_text(source, "source")
        if ttl_seconds is not None:
            seconds = check.checked_positive(ttl_seconds, "ttl_seconds")
            changes["expires_at"] = self._runtime.now() + timedelta(seconds=seconds)
        if pinned is not None:
            changes["pinned"] = bool(pinned)
        with self._lease() as repository:
            return self._runtime.writer.change(repository, check.checked_id(memory_id), **changes)

    def renew_memories(self, ids: Sequence[str], ttl_seconds: float) -> int:
        """Let entries expire `ttl_seconds` from now, > 0; how many were there."""
        self._writable()
        seconds = check.checked_positive(ttl_seconds, "ttl_seconds")
        with self._lease() as repository:
            return replacing.renew(self._runtime, repository, [check.checked_id(i) for i in ids], seconds)

    def supersede_memory(
        self,
        memory_id: str,
        content: str,
        metadata: Mapping[str, JSON] | None = None,
        *,
        timestamp: datetime | None = None,
    ) -> MemoryEntry:
        """Replace an entry by a newer one and keep the old one as its history.

        Args:
            memory_id: The entry that is no longer so.
            content: What is so now.
            metadata: Of the new entry; default: the old one's.
            timestamp: Since when; default: now.

        Raises:
            MemoryNotFoundError: There is none in this namespace.
            InvalidInputError: It was superseded before, or something given cannot be stored.
        """
        old = self.get_memory(memory_id)
        if old.superseded_by is not None:
            raise InvalidInputError(
                f"memory {memory_id!r} was superseded by {old.superseded_by!r} before; supersede that one"
            )
        new = NewMemory(
            content=content,
            metadata=old.metadata if metadata is None else metadata,
            source=old.source,
            speaker=old.speaker,
            timestamp=timestamp,
            pinned=old.pinned,
            kind=old.kind,
            derived_from=(old.id,),
            details={"supersedes": old.id},
        )
        entry = self.add_memories([new], old.memory_type)[0]
        with self._lease() as repository:
            self._runtime.writer.change(repository, old.id, superseded_by=entry.id)
        return entry

    def history(self, memory_id: str) -> list[MemoryEntry]:
        """An entry with what it superseded and what superseded it, oldest first.

        Raises:
            MemoryNotFoundError: There is none in this namespace.
        """
        with self._lease() as repository:
            entry = found(repository, [check.checked_id(memory_id)])[0]
            chain = [entry]
            while (earlier := chain[0].details.get("supersedes")) is not None:
                before = _by_id(repository, str(earlier))
                if not before or before[0] in chain:
                    break
                chain.insert(0, before[0])
            while (later := chain[-1].superseded_by) is not None:
                after = _by_id(repository, later)
                if not after or after[0] in chain:
                    break
                chain.append(after[0])
            return chain

    def delete_memory(self, memory_id: str) -> int:
        """Delete one entry for good; 1 if it was there, else 0."""
        return self.delete_memories([memory_id])

    def delete_memories(self, ids: Sequence[str]) -> int:
        """Delete entries for good; how many were there."""
        self._writable()
        if isinstance(ids, str):
            raise InvalidInputError("ids is a single string; pass a list, or use delete_memory")
        checked = [check.checked_id(i) for i in ids]
        with self._lease() as repository, repository.lock:
            entries = repository.read(lambda c: c.by_ids(checked))
            if entries:
                repository.remove(entries)
            return len(entries)

    def forget(self) -> dict[MemoryType, int]:
        """Delete everything in this namespace; what was there by tier. Namespaces below it are others."""
        self._writable()
        with self._lease() as repository:
            return repository.forget()

    # --- upkeep --------------------------------------------------------------------------------------------

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

    # --- looking after it ----------------------------------------------------------------------------------

    def namespaces(self) -> list[Namespace]:
        """This namespace and those below it that hold anything, sorted."""
        depth = len(self.namespace)
        self._open()
        return [n for n in self._runtime.store.namespaces() if n[:depth] == self.namespace]

    def stats(self) -> Stats:
        """What this namespace holds."""
        with self._lease() as repository:
            counts = repository.read(lambda c: c.tier_counts())
            superseded, expired = repository.read(lambda c: c.hidden(self._runtime.now()))
        return Stats(
            namespace=self.namespace,
            counts=counts,
            superseded=superseded,
            expired=expired,
            bytes_on_disk=self.config.bytes_on_disk(),
            embedder=self._runtime.space.embedder,
            dimensions=self._runtime.space.dimensions,
        )

    def rebuild_catalog(self) -> int:
        """Make the SQLite index anew from Chroma; the number of entries in it."""
        with self._lease() as repository:
            return repository.rebuild()

    def flush(self) -> None:
        """Write what was only noted so far (access counts); memories are stored before add returns."""
        self._open()
        self._runtime.flush()

    def close(self) -> None:
        """Let go of the store. Twice does no harm; a scoped manager leaves it to the one it came from."""
        if self._owner:
            self._runtime.close()

    def __enter__(self) -> SyncMemoryManager:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._runtime.check_open()

    def _writable(self) -> None:
        self._open()
        if self.config.read_only:
            raise UsageError("this memory was opened with read_only=True; open it without to write")

    def _lease(self) -> AbstractContextManager[Repository]:
        return self._runtime.lease(self.namespace)

    def _selection(self, memory_type: Tiers, filters: Filters | None, *, hidden: bool) -> Selection:
        tiers = check.checked_tiers(memory_type)
        parsed = None if not filters else parse_filter(filters)
        return Selection(tiers, self._runtime.now(), parsed, hidden)


def _by_id(repository: Repository, memory_id: str) -> list[MemoryEntry]:
    return repository.read(lambda catalog: catalog.by_ids([memory_id]))


def _embedded(repository: Repository, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
    vectors = repository.vectors(entries)
    return [e.with_changes(embedding=vectors[e.id].tolist()) if e.id in vectors else e for e in entries]
