"""One conversation: what was just said stays in the window, what leaves it is archived and summarised."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memory_mgr.config import MemoryConfig
from memory_mgr.engine import validation as check
from memory_mgr.engine.drafts import draft
from memory_mgr.engine.messages import as_message, as_new_memory
from memory_mgr.engine.summarizing import Summaries
from memory_mgr.engine.windows import ARCHIVE, WINDOW, archive_over, messages_in
from memory_mgr.engine.working import WorkingMemory
from memory_mgr.engine.write_behind import WriteBehind, at
from memory_mgr.errors import ConfigurationError, MemoryMgrError, StoreUnavailableError
from memory_mgr.events import observed
from memory_mgr.policy.echoes import without_echoes
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.policy.repeats import Said
from memory_mgr.stores.filters import parse_filter
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import Context, MemoryEntry, MemoryType, Message, NewMemory

if TYPE_CHECKING:
    from memory_mgr.engine.manager import SyncMemoryManager

log = logging.getLogger(__name__)
NOTHING_NEW = "(repeats what was remembered)"
"""Content of a message that only says what was recalled for it; what it said is in the message."""


class SyncConversationContext:
    """The messages, slots and summaries of one conversation. Thread-safe.

    Args:
        conversation_id: Names it within the namespace.
        config: Settings of a memory that this object opens and closes.
        memory: A memory that is open already.
        short_term: Limits of the window as this object keeps it; default: the memory's.
        settings: As for `SyncMemoryManager`, when no `memory` is given.

    Raises:
        ConfigurationError: Both a config and a memory are given.
    """

    def __init__(
        self,
        conversation_id: str,
        config: MemoryConfig | None = None,
        *,
        memory: SyncMemoryManager | None = None,
        short_term: EvictionConfig | None = None,
        **settings: Any,
    ) -> None:
        if memory is not None and (config is not None or settings):
            raise ConfigurationError("give a memory or a config, not both: the memory brings its own settings")
        if memory is None:
            from memory_mgr.engine.manager import SyncMemoryManager

            self._owned: SyncMemoryManager | None = SyncMemoryManager(config, **settings)
            memory = self._owned
        else:
            self._owned = None
        self.conversation_id = check.checked_text(conversation_id, "conversation_id")
        self.memory = memory
        self._runtime = memory._runtime
        self._observer = memory._observer
        self._limits = short_term or memory.config.short_term
        self.working = WorkingMemory(self._runtime, memory.namespace, self.conversation_id)
        self._summaries = Summaries(self._runtime, memory.namespace, self.conversation_id)

    # --- messages ------------------------------------------------------------------------------------------

    def add_message(self, message: Message) -> Message:
        """Remember a message; returns it, with id and time, when it is stored.

        Raises:
            InvalidInputError: It cannot be stored, or its id was used for another one.
        """
        return self.add_messages([message])[0]

    @observed("add")
    def add_messages(self, messages: Sequence[Message]) -> list[Message]:
        """Remember messages in order; then let the window evict whole turns if it is over a limit.

        Raises:
            InvalidInputError: One cannot be stored, or its id was used for another one; nothing was written.
        """
        self.memory._writable()
        news = [check.checked_new(self._as_new(message)) for message in check.checked_messages(messages)]
        check.refuse_clashes(news)
        queue = self._runtime.queue
        if queue is not None:
            return self._stored_or_queued(queue, news)
        return self._stored(news)

    def _stored(self, news: Sequence[NewMemory]) -> list[Message]:
        entries = self._runtime.writer.add(self.memory.namespace, WINDOW, news, None)
        try:
            self.evict()
        except MemoryMgrError:
            # The messages are stored; the window is over its limit until the next message tries again.
            log.warning("evicting from conversation %r failed", self.conversation_id, exc_info=True)
        return [as_message(entry) for entry in entries]

    def _as_new(self, message: Message) -> NewMemory:
        """A message as it will be stored: all of it is kept, but what repeats recalled memory is not recalled again."""
        new = as_new_memory(self._runtime.intake.message(message), self.conversation_id, self._runtime.counter)
        recalled = self._runtime.recalled.said(self.memory.namespace, self.conversation_id)
        news = without_echoes(new.content, recalled if message.role == "assistant" else Said())
        if news == new.content:
            return new
        details = {"content": new.content, **(new.details or {})}
        return replace(new, content=news or NOTHING_NEW, details=details)

    def _stored_or_queued(self, queue: WriteBehind, news: Sequence[NewMemory]) -> list[Message]:
        """Store messages behind those that wait already, or let them wait too."""
        namespace, now = self.memory.namespace, self._runtime.now()
        if not queue.is_resting:
            try:
                with self._runtime.lease(namespace):  # replays what waits
                    if not len(queue):
                        return self._stored(news)
            except StoreUnavailableError as error:
                log.warning("messages of conversation %r are queued: %s", self.conversation_id, error)
                queue.rest()
        waiting = [at(new, now) for new in news]
        queue.put(namespace, self.conversation_id, waiting)
        return [as_message(draft(new, namespace, WINDOW, now, 0.5, None)) for new in waiting]

    def window(self) -> list[Message]:
        """The recent messages that are kept verbatim, oldest first."""
        with self._runtime.lease(self.memory.namespace) as repository:
            return [as_message(entry) for entry in self._entries(repository, WINDOW)]

    def messages(self) -> list[Message]:
        """Every message ever added and not deleted, oldest first, archived or not."""
        return [as_message(entry) for entry in self.entries()]

    def entries(self) -> list[MemoryEntry]:
        """The entries of `messages`."""
        with self._runtime.lease(self.memory.namespace) as repository:
            return self._entries(repository, WINDOW, ARCHIVE)

    def summaries(self) -> list[MemoryEntry]:
        """The summaries that stand for what has left the window, oldest first."""
        return self._summaries.current()

    def _entries(self, repository: Repository, *tiers: MemoryType) -> list[MemoryEntry]:
        return messages_in(self._runtime, repository, self.conversation_id, tiers)

    # --- leaving the window --------------------------------------------------------------------------------

    def evict(self) -> int:
        """Archive the turns that are over a limit of `short_term`, then summarise them; how many messages left."""
        with self._runtime.lease(self.memory.namespace) as repository:
            gone = archive_over(self._runtime, repository, self.conversation_id, self._limits)
            if gone:
                self._summaries.extend(repository)
            return len(gone)

    def archive(self, count: int) -> list[Message]:
        """Let the `count` oldest messages leave the window now, whatever its limits; those that left.

        The caller answers for turns being whole. Safe when several do it at once: each message leaves once.
        """
        self.memory._writable()
        most = check.checked_count(count, "count")
        with self._runtime.lease(self.memory.namespace) as repository:
            with repository.lock:
                gone = self._entries(repository, WINDOW)[:most]
                if gone:
                    self._runtime.writer.move(repository, gone, ARCHIVE)
            if gone:
                self._summaries.extend(repository)
            return [as_message(entry) for entry in gone]

    # --- the whole conversation ----------------------------------------------------------------------------

    def build_context(self, query: str, budget_tokens: int = 1000, **options: Any) -> Context:
        """As `SyncMemoryManager.build_context`, for this conversation."""
        return self.memory.build_context(query, budget_tokens, self.conversation_id, **options)

    def reset(self) -> int:
        """Empty window and working memory; what was archived stays. How many entries went."""
        return self._remove(WINDOW, MemoryType.WORKING)

    def delete(self) -> int:
        """Delete the conversation: messages, archived ones too, slots, notes and summaries. How many entries went."""
        return self._remove(*MemoryType)

    def _remove(self, *tiers: MemoryType) -> int:
        self.memory._writable()
        own = Selection(tiers, self._runtime.now(), parse_filter({"source": self.conversation_id}), hidden=True)
        with self._runtime.lease(self.memory.namespace) as repository, repository.lock:
            entries = repository.read(lambda catalog: catalog.listed(own, limit=None))
            if entries:
                repository.remove(entries)
            return len(entries)

    def close(self) -> None:
        """Close the memory if this object opened it."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> SyncConversationContext:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
