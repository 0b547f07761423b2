"""The history of one conversation as LlamaIndex's memories see it, over the core's window and archive.

`get_all`, `set` and `reset` speak of one list of messages. The core never forgets what was archived, so this module
keeps, beside the conversation, from where on and without which archived messages the list is to be read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from llamaindex_memory_mgr.failures import OnError, goes_on
from llamaindex_memory_mgr.messages import fingerprint
from memory_mgr import MemoryEntry, MemoryType, Message, SyncConversationContext, SyncMemoryManager
from memory_mgr.defaults.adapters import as_clock
from memory_mgr.engine.messages import as_message, in_order
from memory_mgr.policy.eviction import EvictionConfig

_VIEW = "view"
"""Slot, in a working memory of its own that no prompt shows, that says how the archive is to be read."""


@dataclass(frozen=True)
class Change:
    """Something to be done to the history."""

    kind: Literal["add", "archive", "set", "reset"]
    messages: tuple[Message, ...] = ()

    def applied(self, to: Sequence[Message]) -> list[Message]:
        """What the window is after it."""
        kept = to if self.kind in {"add", "archive"} else ()
        return [*kept, *(self.messages if self.kind != "archive" else ())]


class History:
    """One conversation's messages. Thread-safe.

    Changes that fail under on_error="warn" are kept and made, in order, before the next one; until then they are
    part of what `window` and `all` return.

    Args:
        memory: Gives the open memory.
        conversation_id: Which conversation.
        limits: Of the window; None = the memory's own.
        on_error: See `failures.goes_on`.
    """

    def __init__(
        self,
        memory: Callable[[], SyncMemoryManager],
        conversation_id: str,
        limits: EvictionConfig | None,
        on_error: OnError,
    ) -> None:
        self._memory = memory
        self._conversation_id = conversation_id
        self._limits = limits
        self._on_error = on_error
        self._lock = threading.RLock()
        self._waiting: list[Change] = []
        self._last_window: list[Message] = []

    @property
    def conversation(self) -> SyncConversationContext:
        """The core's conversation."""
        return self._memory().conversation(self._conversation_id, short_term=self._limits)

    @property
    def waiting(self) -> int:
        """Changes that could not be made so far."""
        return len(self._waiting)

    # --- reading -------------------------------------------------------------------------------------------

    def window(self) -> list[Message]:
        """What was said last and has not been archived, oldest first."""
        return self._read(self._stored_window)

    def _stored_window(self) -> list[Message]:
        messages = self.conversation.window()
        self._last_window = messages
        return messages

    def all(self) -> list[Message]:
        """The whole history since it was last set or reset, archived or not, oldest first."""
        return self._read(lambda: [as_message(entry) for entry in self._visible()])

    def _read(self, stored: Callable[[], list[Message]]) -> list[Message]:
        self.catch_up()
        try:
            messages = stored()
        except Exception as error:
            if not goes_on(error, self._on_error, "the history cannot be read; using what was last seen of it"):
                raise
            messages = self._last_window
        for change in self._waiting:
            messages = change.applied(messages)
        return list(messages)

    def _visible(self) -> list[MemoryEntry]:
        return visible(self.conversation, self._view())

    def _view(self) -> View:
        stored = self._notebook().working.get(_VIEW)
        return View.of(stored) if isinstance(stored, dict) else View()

    def _notebook(self) -> SyncConversationContext:
        return self._memory().conversation(f"{self._conversation_id}#llama_index")

    # --- changing ------------------------------------------------------------------------------------------

    def add(self, messages: Sequence[Message]) -> None:
        """Append messages."""
        if messages:
            self._change(Change("add", tuple(messages)))

    def archive(self, messages: Sequence[Message]) -> None:
        """Append messages that have left a window already: they go to the archive at once, and are summarised."""
        if messages:
            self._change(Change("archive", tuple(messages)))

    def set(self, messages: Sequence[Message]) -> None:
        """Make the history these messages; those it shares with them stay as they are stored."""
        self._change(Change("set", tuple(messages)))

    def reset(self) -> None:
        """Empty the history and the working memory; what was archived stays in the memory."""
        self._change(Change("reset"))

    def _change(self, change: Change) -> None:
        self.catch_up()
        if self._waiting or not self._made(change):
            now = as_clock(self._memory().config.clock).now()
            stamped = tuple(m if m.timestamp else replace(m, timestamp=now) for m in change.messages)
            with self._lock:
                self._waiting.append(replace(change, messages=stamped))

    def catch_up(self) -> None:
        """Try again what could not be stored."""
        if self._waiting:
            with self._lock:
                while self._waiting and self._made(self._waiting[0]):
                    self._waiting.pop(0)

    def _made(self, change: Change) -> bool:
        try:
            self._make(change)
        except Exception as error:
            if not goes_on(error, self._on_error, f"{change.kind} cannot be stored now and will be tried again"):
                raise
            return False
        self._last_window = change.applied(self._last_window)
        return True

    def _make(self, change: Change) -> None:
        if change.kind == "add":
            self.conversation.add_messages(change.messages)
            return
        with self._lock:
            if change.kind == "archive":
                conversation = self.conversation
                conversation.add_messages(change.messages)
                conversation.archive(len(conversation.window()))
            elif change.kind == "set":
                self._replace(change.messages)
            else:
                self._clear()

    def _clear(self) -> None:
        conversation = self.conversation
        conversation.reset()
        archived = conversation.entries()
        if archived:
            self._remember(View(after=max(entry.sequence for entry in archived)))

    def _replace(self, messages: Sequence[Message]) -> None:
        conversation, view = self.conversation, self._view()
        entries = visible(conversation, view)
        stored = [fingerprint(as_message(entry)) for entry in entries]
        start, kept = overlap(stored, [fingerprint(message) for message in messages])
        before, after = entries[:start], entries[start + kept :]
        if kept:
            conversation.archive(sum(_in_window(entry) for entry in before))
        else:
            after, before = entries, []
        gone = [entry.id for entry in after if _in_window(entry)]
        if gone:
            conversation.memory.delete_memories(gone)
        changed = View(
            after=max([view.after, *(entry.sequence for entry in before)]),
            without=view.without | {entry.id for entry in after if not _in_window(entry)},
        )
        if changed != view:
            self._remember(changed)
        if messages[kept:]:
            conversation.add_messages(messages[kept:])

    def _remember(self, view: View) -> None:
        self._notebook().working.set(_VIEW, view.as_json())


@dataclass(frozen=True)
class View:
    """Which messages of a conversation are its history.

    Attributes:
        after: Those with a higher sequence than this,
        without: and not these entries.
    """

    after: int = -1
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, stored: dict[str, Any]) -> View:
        """From `as_json`."""
        return cls(int(stored["after"]), frozenset(stored["without"]))

    def as_json(self) -> dict[str, Any]:
        """In JSON."""
        return {"after": self.after, "without": sorted(self.without)}


def visible(conversation: SyncConversationContext, view: View) -> list[MemoryEntry]:
    """The entries of the history, in order."""
    entries = in_order(conversation.entries())
    return [entry for entry in entries if entry.sequence > view.after and entry.id not in view.without]


def overlap(stored: Sequence[str], wanted: Sequence[str]) -> tuple[int, int]:
    """Where in `stored` the longest beginning of `wanted` is found: (start, length).

    Applications set a history that is the stored one with something added, cut off at either end, or edited. Of
    equally long places the one at the very end wins if `wanted` goes on after it, else the first.
    """
    best = (len(stored), 0)
    for start in range(len(stored)):
        length = common(stored[start:], wanted)
        goes_on_from_end = start + length == len(stored) and length < len(wanted)
        if length > best[1] or (length == best[1] > 0 and goes_on_from_end):
            best = (start, length)
    return best


def common(some: Sequence[str], others: Sequence[str]) -> int:
    """How many of the first items are equal, one by one."""
    pairs = zip(some, others, strict=False)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(some), len(others)))


def _in_window(entry: MemoryEntry) -> bool:
    return entry.memory_type is MemoryType.SHORT_TERM
