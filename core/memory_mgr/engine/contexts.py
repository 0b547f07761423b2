"""`build_context`: what a model is told, gathered from all tiers and packed into the budget."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from memory_mgr.engine.messages import MESSAGE, as_message, entry_id, in_order
from memory_mgr.engine.recall import Recaller
from memory_mgr.engine.runtime import Runtime
from memory_mgr.policy.packing import Piece, Section, pack
from memory_mgr.policy.rendering import Line, attributed
from memory_mgr.stores.filters import parse_filter
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import Context, MemoryEntry, MemoryType

WORKING, SUMMARY, RECALLED, RECENT = "working", "summary", "recalled", "recent"
_MOST_CANDIDATES = 1000
_TOKENS_A_CANDIDATE = 25
"""A short turn; a large budget wants more candidates than the configured number."""
_LENDS_FIRST = (RECALLED, RECENT, SUMMARY, WORKING)


class ContextBuilder:
    """Gathers and packs.

    Args:
        runtime: The shared pieces.
        recaller: Finds what the query is about.
    """

    def __init__(self, runtime: Runtime, recaller: Recaller) -> None:
        self._runtime = runtime
        self._recaller = recaller
        self._config = runtime.config.packing

    def build(
        self,
        repository: Repository,
        query: str,
        budget: int,
        conversation_id: str | None,
        selection: Selection,
        *,
        include_recent: bool,
        sent: Collection[str] | None = None,
        explain: bool,
    ) -> Context:
        """The context of `query` in at most `budget` tokens."""
        own = self._conversation(repository, conversation_id) if conversation_id is not None else []
        candidates = max(self._config.recalled_candidates, min(_MOST_CANDIDATES, budget // _TOKENS_A_CANDIDATE))
        hits = self._recaller.search(repository, query, selection, candidates, note=False)
        recent = [e for e in own if e.memory_type is MemoryType.SHORT_TERM]
        summaries = [e for e in reversed(own) if e.memory_type is MemoryType.EPISODIC]
        if sent is not None and not include_recent:
            recent = [e for e in recent if e.details.get("message_id") in sent]
        aside = {e.id for e in (*recent, *summaries)}
        if conversation_id is not None:  # sent ones may be archived already
            aside |= {entry_id(conversation_id, message_id) for message_id in sent or ()}
        summaries += [hit for hit in hits if hit.memory_type is MemoryType.EPISODIC and hit.id not in aside]
        recalled = [hit for hit in hits if hit.memory_type is not MemoryType.EPISODIC and hit.id not in aside]
        task = [e for e in own if e.memory_type is MemoryType.WORKING]
        shown = recent if include_recent else []
        # What came right before the recent turns stands for them where the caller sends them itself.
        summary_share = self._config.summary_share + (0 if include_recent else self._config.recent_share)
        sections = [
            self._section(WORKING, "# Task", reversed(task), self._config.working_share, dated=False),
            self._section(SUMMARY, "# Summary", summaries, summary_share),
            self._section(RECALLED, "# Remembered", recalled, 0.0),
            self._section(RECENT, "# Recent", reversed(shown), self._config.recent_share, contiguous=True),
        ]
        packed = pack(sections, budget, self._runtime.counter.count, _LENDS_FIRST, self._config)
        known = {e.id: e for e in (*hits, *own)}
        entries = tuple(known[i] for i in packed.shown)
        if conversation_id is not None:
            self._runtime.recalled.note(repository.namespace, conversation_id, (entry.content for entry in entries))
        self._recaller.note(repository, packed.shown)
        return Context(
            text=packed.text,
            tokens=packed.tokens,
            budget_tokens=budget,
            entries=entries,
            messages=tuple(as_message(e) for e in in_order(entries) if e in recent),
            sections=packed.sections,
            explain=packed.reasons if explain else None,
        )

    def _conversation(self, repository: Repository, conversation_id: str) -> list[MemoryEntry]:
        """Slots, notes, summaries and the window of a conversation, oldest first."""
        now = self._runtime.now()
        own = Selection((MemoryType.WORKING, MemoryType.SHORT_TERM), now, parse_filter({"source": conversation_id}))
        entries = repository.read(lambda catalog: catalog.listed(own, limit=None))
        episodes = repository.read(lambda catalog: catalog.episodes(conversation_id))
        entries = in_order([*entries, *(e for e in episodes if e.expires_at is None or e.expires_at > now)])
        return [e for e in entries if not e.suspicious] if self._runtime.config.suspicion.hides else entries

    @staticmethod
    def _section(
        name: str,
        heading: str,
        entries: Iterable[MemoryEntry],
        share: float,
        *,
        dated: bool = True,
        contiguous: bool = False,
    ) -> Section:
        pieces = [
            Piece(
                entry.id,
                Line(_said(entry), entry.timestamp if dated else None),
                (entry.timestamp, entry.sequence),
                importance=entry.importance_score,
                source=entry.source,
            )
            for entry in entries
        ]
        return Section(name, heading, pieces, share, contiguous)


def _said(entry: MemoryEntry) -> str:
    role = entry.details.get("role") if entry.kind == MESSAGE else None
    content = entry.content
    if entry.passage is not None:
        start, end = entry.passage
        content = f"{'… ' if start else ''}{content[start:end]}{' …' if end < len(content) else ''}"
    return attributed(content, entry.speaker or (str(role) if role else None), role=str(role) if role else None)
