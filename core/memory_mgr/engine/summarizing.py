"""Summaries of what has left a conversation's window, each with the messages it stands for.

How far a conversation is summarised (its watermark) is the highest sequence that a summary covers. The catalog
remembers it, and which messages stayed in the window below it, so that only what came later is read, however long the
conversation is; when the catalog was made anew, both are found from the summaries themselves.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from memory_mgr.engine.messages import MESSAGE, as_message, in_order
from memory_mgr.engine.replacing import supersede
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.windows import messages_in
from memory_mgr.errors import SummarizationError
from memory_mgr.events import Observer, observed
from memory_mgr.stores.repository import Repository
from memory_mgr.trust import least_trusted
from memory_mgr.types import MemoryEntry, MemoryType, Message, Namespace, NewMemory

log = logging.getLogger(__name__)
SUMMARY = "summary"
"""`MemoryEntry.kind` of summaries."""
ROLL_UP_AT = 8
"""Summaries of one level that are rolled up into one of the next when there are twice as many."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far a conversation is summarised.

    Attributes:
        through: The highest sequence that is or was covered by a summary.
        read_from: Messages up to this sequence are covered, but for those waiting; before it, summaries may have
            expired.
        waiting: Messages below it that had not left the window.
    """

    through: int
    read_from: int
    waiting: Sequence[str] = ()


class Summaries:
    """The summaries of one conversation.

    Args:
        runtime: The shared pieces.
        namespace: Whose.
        conversation_id: Which conversation.
    """

    def __init__(self, runtime: Runtime, namespace: Namespace, conversation_id: str) -> None:
        self._runtime = runtime
        self._namespace = namespace
        self._conversation_id = conversation_id
        self._key = f"summarized/{conversation_id}"
        self._observer = Observer(runtime.config.on_event, namespace)

    def current(self) -> list[MemoryEntry]:
        """Those that are not rolled up into others, oldest first."""
        with self._runtime.lease(self._namespace) as repository:
            return self._in_sight(repository)

    def extend(self, repository: Repository, *, include_window: bool = False) -> MemoryEntry | None:
        """Summarise what was archived since the last summary; None if there is nothing or someone is at it."""
        with self._runtime.exclusively(self._namespace, self._conversation_id) as mine:
            if not mine:
                return None
            mark = self._mark(repository)
            span = self._unsummarized(repository, mark, include_window=include_window)
            if not span:
                return None
            summary = self._summarize(repository, span, level=1, after=mark.through)
            self._remember(repository, max(mark.through, _through(summary)), {entry.id for entry in span})
            self._roll_up(repository)
            return summary

    def _mark(self, repository: Repository) -> _Mark:
        remembered = repository.read(lambda catalog: catalog.meta(self._key))
        if remembered is not None:
            mark = _Mark(**json.loads(remembered))
            later = self._since(repository, MemoryType.EPISODIC, mark.through)
            return replace(mark, through=max([mark.through, *map(_through, later)]))
        summaries = self._since(repository, MemoryType.EPISODIC, 0)
        return _Mark(max(map(_through, summaries), default=0), min(map(_after, summaries), default=0))

    def _remember(self, repository: Repository, through: int, covered: set[str]) -> None:
        window = messages_in(self._runtime, repository, self._conversation_id, (MemoryType.SHORT_TERM,))
        waiting = [e.id for e in window if e.sequence <= through and e.id not in covered]
        mark = _Mark(through, through, waiting)
        repository.read(lambda catalog: catalog.set_meta(self._key, json.dumps(asdict(mark))))

    def _unsummarized(self, repository: Repository, mark: _Mark, *, include_window: bool) -> list[MemoryEntry]:
        """What is above the watermark, and what stayed in the window while later messages left it."""
        tiers = (MemoryType.LONG_TERM, *((MemoryType.SHORT_TERM,) if include_window else ()))
        entries = [e for tier in tiers for e in self._since(repository, tier, mark.read_from)]
        entries += [e for e in repository.read(lambda c: c.by_ids(mark.waiting)) if e.memory_type in tiers]
        summaries = self._since(repository, MemoryType.EPISODIC, mark.read_from)
        covered = {origin for summary in summaries for origin in summary.derived_from}
        return in_order([e for e in entries if e.kind == MESSAGE and e.id not in covered])

    @observed("summary")
    def _summarize(self, repository: Repository, span: Sequence[MemoryEntry], *, level: int, after: int) -> MemoryEntry:
        """Summarise a span and store it; summaries that are condensed into it are hidden by the same write."""
        new = self._new(self._summarized(span), span, level=level, after=after)
        ttl = self._runtime.config.episodic.ttl_seconds
        if level == 1:
            return self._runtime.writer.add(self._namespace, MemoryType.EPISODIC, [new], ttl)[0]
        return supersede(self._runtime, repository, new, [entry.id for entry in span], ttl)

    def _summarized(self, span: Sequence[MemoryEntry]) -> str:
        """A summary that is usable.

        Raises:
            SummarizationError: The summarizer failed, or returned nothing, or too much. Nothing is stored then, and
                the span is tried again when more has been archived.
        """
        limit = self._runtime.config.episodic.summary_tokens
        try:
            text = self._runtime.summarizer.summarize([_told(entry) for entry in span], max_tokens=limit)
        except Exception as error:
            raise SummarizationError(f"the summarizer failed on {len(span)} messages: {error}") from error
        if not isinstance(text, str) or not text.strip():
            raise SummarizationError(f"the summarizer returned {text!r:.80}; it must return some text")
        tokens = self._runtime.counter.count(text)
        if tokens > limit:
            raise SummarizationError(f"the summarizer returned {tokens} tokens, at most {limit} were asked for")
        return text

    def _new(self, text: str, span: Sequence[MemoryEntry], *, level: int, after: int) -> NewMemory:
        first, last = span[0], span[-1]
        return NewMemory(
            content=text,
            id=_summary_id(self._conversation_id, level, first.id, last.id),
            source=self._conversation_id,
            timestamp=last.timestamp,
            importance_score=max(entry.importance_score for entry in span),
            kind=SUMMARY,
            derived_from=tuple(entry.id for entry in span),
            origin=least_trusted(entry.origin for entry in span),
            details={
                "level": level,
                "after": after,
                "through": max(_through(entry) for entry in span),
                "from": str(first.details.get("from") or first.timestamp.isoformat()),
                "to": last.timestamp.isoformat(),
            },
        )

    # --- higher levels -------------------------------------------------------------------------------------

    def _roll_up(self, repository: Repository) -> None:
        """Condense the oldest summaries of a level into one of the next; the old ones stay as its sources."""
        self._finish_roll_up(repository)
        level = 1
        while True:
            same = [e for e in self._in_sight(repository) if e.details.get("level") == level]
            if len(same) < 2 * ROLL_UP_AT:
                return
            group = same[:ROLL_UP_AT]
            self._summarize(repository, group, level=level + 1, after=min(map(_after, group)))
            level += 1

    def _finish_roll_up(self, repository: Repository) -> None:
        """Hide the sources of a roll-up that a crash left in sight."""
        summaries = self._in_sight(repository)
        above = {origin: summary.id for summary in summaries for origin in summary.derived_from}
        for entry in summaries:
            if entry.id in above:
                self._runtime.writer.change(repository, entry.id, superseded_by=above[entry.id])

    def _in_sight(self, repository: Repository) -> list[MemoryEntry]:
        episodes = repository.read(lambda catalog: catalog.episodes(self._conversation_id))
        return sorted((e for e in episodes if e.kind == SUMMARY), key=_through)

    def _since(self, repository: Repository, tier: MemoryType, sequence: int) -> list[MemoryEntry]:
        return repository.read(lambda catalog: catalog.since(tier, self._conversation_id, sequence))


def _told(entry: MemoryEntry) -> Message:
    """A message as it was; an earlier summary as a text by nobody."""
    if entry.kind == SUMMARY:
        return Message(role="system", content=entry.content, id=entry.id, timestamp=entry.timestamp)
    return as_message(entry)


def _through(entry: MemoryEntry) -> int:
    """The last sequence an entry stands for: its own for a message, what it covers for a summary."""
    return int(cast("int", entry.details.get("through", entry.sequence)))


def _after(summary: MemoryEntry) -> int:
    """The watermark before a summary: all that comes later and was not covered has yet to be."""
    return int(cast("int", summary.details.get("after", _through(summary))))


def _summary_id(conversation_id: str, level: int, first: str, last: str) -> str:
    key = json.dumps(["summary", conversation_id, level, first, last])
    return hashlib.sha256(key.encode()).hexdigest()[:32]
