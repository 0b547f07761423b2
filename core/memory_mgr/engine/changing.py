"""Changing: adding, replacing, superseding, deleting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from memory_mgr.engine import replacing
from memory_mgr.engine import validation as check
from memory_mgr.engine.scope import Scope
from memory_mgr.engine.writing import found
from memory_mgr.errors import InvalidInputError
from memory_mgr.events import observed, observed_to_its_end
from memory_mgr.trust import Origin
from memory_mgr.types import JSON, MemoryEntry, MemoryType, NewMemory


class Changing(Scope):
    """The calls that write what the caller says."""

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
        origin: Origin | None = None,
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
            origin=origin,
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
        return self._begin_adding(memories, memory_type)()

    @observed_to_its_end("add")
    def _begin_adding(
        self, memories: Sequence[NewMemory | str], memory_type: MemoryType | str
    ) -> Callable[[], list[MemoryEntry]]:
        """Check and queue memories; what is returned waits until they are stored."""
        self._writable()
        tier = check.checked_tier(memory_type)
        if isinstance(memories, str):
            raise InvalidInputError("memories is a single string; pass a list, or use add_memory")
        news = [check.checked_new(item) for item in check.checked_list(memories, "memories")]
        check.refuse_clashes(news)
        return self._runtime.writer.begin_adding(self.namespace, tier, news, self._default_ttl(tier))

    @observed("put")
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
        news = [check.checked_new(item) for item in check.checked_list(memories, "memories")]
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

    # --- changing ------------------------------------------------------------------------------------------

    @observed("update")
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
            seconds = check.checked_ttl(ttl_seconds)
            changes["expires_at"] = self._runtime.now() + timedelta(seconds=seconds)
        if pinned is not None:
            changes["pinned"] = bool(pinned)
        with self._lease() as repository:
            return self._runtime.writer.edit(repository, check.checked_id(memory_id), changes)

    def renew_memories(self, ids: Sequence[str], ttl_seconds: float) -> int:
        """Let entries expire `ttl_seconds` from now, > 0; how many were there."""
        self._writable()
        seconds = check.checked_ttl(ttl_seconds)
        with self._lease() as repository:
            return replacing.renew(self._runtime, repository, check.checked_ids(ids), seconds)

    @observed("supersede")
    def supersede_memory(
        self,
        memory_id: str,
        content: str,
        metadata: Mapping[str, JSON] | None = None,
        *,
        timestamp: datetime | None = None,
        origin: Origin | None = None,
    ) -> MemoryEntry:
        """Replace an entry by a newer one and keep the old one as its history.

        Args:
            memory_id: The entry that is no longer so.
            content: What is so now.
            metadata: Of the new entry; default: the old one's.
            timestamp: Since when; default: now.
            origin: Who the new one comes from, see `TRUST`; default: "user".

        Raises:
            MemoryNotFoundError: There is none in this namespace.
            InvalidInputError: It was superseded before, or something given cannot be stored.
        """
        self._writable()
        with self._lease() as repository:
            old = found(repository, [check.checked_id(memory_id)])[0]
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
                origin=origin,
            )
            ttl = self._default_ttl(old.memory_type)
            return replacing.supersede(self._runtime, repository, check.checked_new(new), [old.id], ttl)

    # --- deleting ------------------------------------------------------------------------------------------

    def delete_memory(self, memory_id: str) -> int:
        """Delete one entry for good; 1 if it was there, else 0."""
        return self.delete_memories([memory_id])

    @observed("delete")
    def delete_memories(self, ids: Sequence[str]) -> int:
        """Delete entries for good; how many were there."""
        self._writable()
        checked = check.checked_ids(ids)
        with self._lease() as repository, repository.lock:
            entries = repository.read(lambda c: c.by_ids(checked))
            if entries:
                repository.remove(entries)
            return len(entries)

    def delete_expired(self) -> int:
        """Delete what has expired for good, without waiting for the grace period; how many it was."""
        self._writable()
        with self._lease() as repository, repository.lock:
            entries = repository.read(lambda c: c.expired(self._runtime.now()))
            if entries:
                repository.remove(entries)
            return len(entries)

    @observed("forget")
    def forget(self) -> dict[MemoryType, int]:
        """Delete everything in this namespace; what was there by tier. Namespaces below it are others.

        Entries, vectors, archived messages, summaries, history, the record of changes and the index go, and no byte of
        them is left in the files of an embedded store. A server keeps deleted bytes until its operator runs
        `chroma vacuum`. If the process dies halfway, who opens an embedded namespace next completes it.

        Raises:
            StoreUnavailableError: All is deleted, but bytes of it are left in files that are in use; call it again.
        """
        self._writable()
        if self._runtime.queue is not None:
            self._runtime.queue.forget(self.namespace)
        with self._lease() as repository:
            counts = repository.forget()
        self._runtime.recalled.forget(self.namespace)
        return counts
