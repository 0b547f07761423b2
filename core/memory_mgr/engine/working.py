"""Working memory: keyed slots and notes of one task, in a tier of their own.

A slot is an entry whose id follows from task and key, so that setting it again replaces it. Its text is
"key: value" for people and models, its value is kept as JSON beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

from memory_mgr.engine import validation as check
from memory_mgr.engine.messages import entry_id
from memory_mgr.engine.runtime import Runtime
from memory_mgr.errors import InvalidInputError
from memory_mgr.stores.filters import parse_filter
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import JSON, MemoryEntry, MemoryType, Namespace, NewMemory

SLOT, NOTE = "slot", "note"
TIER = MemoryType.WORKING


class WorkingMemory:
    """The slots and notes of one task.

    Args:
        runtime: The shared pieces.
        namespace: Whose.
        task: A conversation's id or a task's name.
    """

    def __init__(self, runtime: Runtime, namespace: Namespace, task: str) -> None:
        self._runtime = runtime
        self._namespace = namespace
        self._task = task
        self._settings = runtime.config.working

    def set(self, key: str, value: JSON, ttl_seconds: float | None = None) -> MemoryEntry:
        """Set a slot to a JSON value; None is a value too."""
        name = check.checked_text(key, "slot key")
        kept = check.checked_json(value, f"slot {name!r}")
        shown = kept if isinstance(kept, str) and kept.strip() else json.dumps(kept, ensure_ascii=False)
        new = NewMemory(
            content=f"{name}: {shown}",
            id=entry_id(self._task, f"slot:{name}"),
            source=self._task,
            ttl_seconds=None if ttl_seconds is None else check.checked_ttl(ttl_seconds),
            importance_score=0.5,
            kind=SLOT,
            details={"key": name, "value": kept},
        )
        self._refuse_too_long(new)
        with self._runtime.lease(self._namespace) as repository:
            entry = self._replaced(repository, new) or self._add(new)
            self._trim(repository)
            return entry

    def get(self, key: str, default: JSON = None) -> JSON:
        """The value of a slot, `default` if it is not set or has expired."""
        for entry in self._entries(SLOT):
            if entry.details.get("key") == key:
                return entry.details.get("value")
        return default

    def slots(self) -> dict[str, JSON]:
        """All slots by key, in the order they were last set."""
        return {str(e.details.get("key")): e.details.get("value") for e in self._entries(SLOT)}

    def delete(self, key: str) -> int:
        """Unset a slot; 1 if it was set, else 0."""
        with self._runtime.lease(self._namespace) as repository, repository.lock:
            entries = repository.read(lambda catalog: catalog.by_ids([entry_id(self._task, f"slot:{key}")]))
            if entries:
                repository.remove(entries)
            return len(entries)

    def add_note(self, text: str, ttl_seconds: float | None = None) -> MemoryEntry:
        """Write something down for the task at hand."""
        new = NewMemory(
            content=check.checked_text(text, "note"),
            source=self._task,
            ttl_seconds=None if ttl_seconds is None else check.checked_ttl(ttl_seconds),
            kind=NOTE,
        )
        self._refuse_too_long(new)
        with self._runtime.lease(self._namespace) as repository:
            entry = self._add(new)
            self._trim(repository)
            return entry

    def notes(self) -> list[MemoryEntry]:
        """The notes, oldest first."""
        return self._entries(NOTE)

    def entries(self) -> list[MemoryEntry]:
        """Slots and notes, oldest first."""
        return self._entries(SLOT, NOTE)

    def clear(self) -> int:
        """The task is done: delete slots and notes; how many there were."""
        with self._runtime.lease(self._namespace) as repository, repository.lock:
            entries = self._read(repository, hidden=True)
            if entries:
                repository.remove(entries)
            return len(entries)

    def _entries(self, *kinds: str) -> list[MemoryEntry]:
        with self._runtime.lease(self._namespace) as repository:
            return [e for e in self._read(repository, hidden=False) if e.kind in kinds]

    def _read(self, repository: Repository, *, hidden: bool) -> list[MemoryEntry]:
        own = Selection((TIER,), self._runtime.now(), parse_filter({"source": self._task}), hidden)
        entries = repository.read(lambda catalog: catalog.listed(own, limit=None))
        return sorted(entries, key=lambda entry: (entry.timestamp, entry.sequence))

    def _add(self, new: NewMemory) -> MemoryEntry:
        return self._runtime.writer.add(self._namespace, TIER, [new], self._settings.ttl_seconds)[0]

    def _replaced(self, repository: Repository, new: NewMemory) -> MemoryEntry | None:
        """The slot rewritten in place if it was set before: it is never missing in between."""
        memory_id = str(new.id)
        if not repository.read(lambda catalog: catalog.by_ids([memory_id])):
            return None
        now = self._runtime.now()
        ttl = self._settings.ttl_seconds if new.ttl_seconds is None else new.ttl_seconds
        return self._runtime.writer.change(
            repository,
            memory_id,
            content=new.content,
            details=dict(new.details or {}),
            timestamp=now,
            expires_at=None if ttl is None else now + timedelta(seconds=ttl),
        )

    def _refuse_too_long(self, new: NewMemory) -> None:
        tokens = self._runtime.counter.count(new.content)
        if tokens > self._settings.max_tokens:
            raise InvalidInputError(
                f"{check.shown(new.content)} has {tokens} tokens, working memory holds {self._settings.max_tokens}; "
                "shorten it, raise working.max_tokens, or put it into long_term"
            )

    def _trim(self, repository: Repository) -> None:
        """Drop what has expired, then the oldest notes, then the oldest slots, until the budget holds."""
        now = self._runtime.now()
        with repository.lock:
            entries = self._read(repository, hidden=True)
            gone = [e for e in entries if e.expires_at is not None and e.expires_at <= now]
            alive = [e for e in entries if e not in gone]
            gone += over_budget(
                alive, [self._runtime.counter.count(e.content) for e in alive], self._settings.max_tokens
            )
            if gone:
                repository.remove(gone)


def over_budget(entries: Sequence[MemoryEntry], tokens: Sequence[int], budget: int) -> list[MemoryEntry]:
    """What must go so that the rest fits: oldest notes first, then oldest slots, never the newest entry."""
    excess = sum(tokens) - budget
    order = sorted(range(len(entries) - 1), key=lambda i: (entries[i].kind == SLOT, i))
    gone = []
    for position in order:
        if excess <= 0:
            break
        gone.append(entries[position])
        excess -= tokens[position]
    return gone
