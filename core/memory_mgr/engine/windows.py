"""Windows of recent messages, and how turns leave them for the archive."""

from __future__ import annotations

from collections.abc import Sequence

from memory_mgr.engine.messages import MESSAGE, as_message, in_order, tokens_of
from memory_mgr.engine.runtime import Runtime
from memory_mgr.policy.eviction import Candidate, Limits, plan_eviction
from memory_mgr.stores.filters import parse_filter
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import MemoryEntry, MemoryType

WINDOW = MemoryType.SHORT_TERM
ARCHIVE = MemoryType.LONG_TERM


def messages_in(
    runtime: Runtime, repository: Repository, conversation_id: str, tiers: Sequence[MemoryType]
) -> list[MemoryEntry]:
    """The messages of a conversation that are in these tiers, in order."""
    own = Selection(tuple(tiers), runtime.now(), parse_filter({"source": conversation_id}), hidden=True)
    entries = repository.read(lambda catalog: catalog.listed(own, limit=None))
    return in_order([entry for entry in entries if entry.kind == MESSAGE])


def archive_over(runtime: Runtime, repository: Repository, conversation_id: str, limits: Limits) -> list[MemoryEntry]:
    """Archive the turns that are over the limits, verbatim; the messages that left.

    They are scored again in the light of what was said next.
    """
    with repository.lock:
        entries = messages_in(runtime, repository, conversation_id, (WINDOW,))
        leaving = plan_eviction([_candidate(entry) for entry in entries], limits, runtime.now())
        gone = [entry for entry in entries if entry.id in leaving]
        if gone:
            scored = runtime.importance.once_answered(entries)
            runtime.writer.move(repository, [entry for entry in scored if entry.id in leaving], ARCHIVE)
        return gone


def _candidate(entry: MemoryEntry) -> Candidate:
    message = as_message(entry)
    return Candidate(
        id=entry.id,
        role=message.role,
        tokens=tokens_of(entry),
        timestamp=entry.timestamp,
        importance=entry.importance_score,
        pinned=entry.pinned,
        tool_calls=tuple(call.id for call in message.tool_calls),
        tool_call_id=message.tool_call_id,
    )
