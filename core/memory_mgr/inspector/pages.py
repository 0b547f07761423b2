"""The pages: looking only."""

from __future__ import annotations

import io
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.inspector.changes import changes_of
from memory_mgr.inspector.notices import NOTICES
from memory_mgr.inspector.site import Fields, Site
from memory_mgr.types import Action, MemoryEntry, MemoryType

PAGE = 50
"""Entries, and namespaces, on one page."""
MOST_HITS = 200
MOST_TOKENS = 100_000


class Pages:
    """Each method is a page; they run in worker threads.

    Args:
        site: What they share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def namespaces(self, request: Request) -> Response:
        """The first page: whose memories there are."""
        asked = _asked(request)
        wanted, start = asked.text("q").casefold(), asked.number("start", 0) or 0
        known = self._site.memories.namespaces()
        found = [labels for labels in known if wanted in "/".join(labels).casefold()]
        shown = [(labels, self._site.memories.of(labels).stats()) for labels in found[start : start + PAGE]]
        return self._site.page(
            "namespaces.html",
            shown=shown,
            total=len(found),
            start=start,
            page=PAGE,
            q=asked.text("q"),
            home=self._site.memories.home,
            notice=NOTICES.get(asked.text("done")),
        )

    def browse(self, request: Request) -> Response:
        """Entries of a namespace, newest first."""
        asked = _asked(request)
        memory = self._memory(asked)
        tier, source, hidden = asked.text("tier"), asked.text("source"), asked.flag("hidden")
        start = asked.number("start", 0) or 0
        entries = memory.list_memories(
            tier or None,
            source=source or None,
            limit=PAGE + 1,
            offset=start,
            newest_first=True,
            include_superseded=hidden,
        )
        return self._site.page(
            "browse.html",
            namespace=memory.namespace,
            entries=entries[:PAGE],
            more=len(entries) > PAGE,
            stats=memory.stats(),
            tier=tier,
            source=source,
            hidden=hidden,
            start=start,
            page=PAGE,
            notice=NOTICES.get(asked.text("done")),
        )

    def search(self, request: Request) -> Response:
        """What is found for a question, and what each score is made of."""
        asked = _asked(request)
        memory = self._memory(asked)
        q, tier = asked.text("q"), asked.text("tier")
        limit = asked.number("limit", 10, MOST_HITS) or 10
        hidden = asked.flag("hidden")
        hits = memory.search_memory(q, tier or None, limit, explain=True, include_superseded=hidden) if q else []
        return self._site.page(
            "search.html", namespace=memory.namespace, q=q, tier=tier, limit=limit, hidden=hidden, hits=hits
        )

    def context(self, request: Request) -> Response:
        """What a model would be told, and why each entry is in or out."""
        asked = _asked(request)
        memory = self._memory(asked)
        q, conversation = asked.text("q"), asked.text("conversation")
        budget = asked.number("budget", 500, MOST_TOKENS)
        built = memory.build_context(q, budget or 0, conversation or None, explain=True) if q else None
        reasons = {} if built is None else built.explain or {}
        return self._site.page(
            "context.html",
            namespace=memory.namespace,
            q=q,
            conversation=conversation,
            budget=budget,
            built=built,
            reasons=[(entry, reasons[entry.id]) for entry in memory.get_memories(list(reasons))],
        )

    def memory(self, request: Request) -> Response:
        """One entry, its history and what it was made of."""
        asked = _asked(request)
        memory = self._memory(asked)
        entry = memory.get_memory(asked.text("id"))
        history = memory.history(entry.id)
        return self._site.page(
            "memory.html",
            namespace=memory.namespace,
            entry=entry,
            history=history if len(history) > 1 else [],
            origins=_origins(memory, entry),
            changes=changes_of(entry),
            notice=NOTICES.get(asked.text("done")),
        )

    def upkeep(self, request: Request) -> Response:
        """What pruning and consolidation would do, export, and forgetting all."""
        asked = _asked(request)
        memory = self._memory(asked)
        what = asked.text("what")
        tier = asked.text("tier", MemoryType.LONG_TERM.value)
        quota = asked.number("quota", None)
        report = None
        if what == "prune":
            report = memory.prune(tier, quota=quota, dry_run=True)
        elif what == "consolidate":
            report = memory.consolidate(dry_run=True)
        return self._site.page(
            "upkeep.html",
            namespace=memory.namespace,
            what=what,
            tier=tier,
            quota=quota,
            report=report,
            said=said_by(memory, report.actions if report else ()),
            total=memory.stats().total,
            notice=NOTICES.get(asked.text("done")),
        )

    def export(self, request: Request) -> Response:
        """A namespace as a file of JSON lines."""
        lines = io.StringIO()
        self._memory(_asked(request)).export_memories(lines)
        headers = {"Content-Disposition": 'attachment; filename="memories.jsonl"'}
        return Response(lines.getvalue(), media_type="application/x-ndjson", headers=headers)

    def _memory(self, asked: Fields) -> SyncMemoryManager:
        return self._site.memories.of(asked.namespace)


def said_by(memory: SyncMemoryManager, actions: Sequence[Action]) -> dict[str, MemoryEntry]:
    """The entries that actions are about, by id."""
    ids = {i for action in actions for i in (action.id, action.other) if i is not None}
    return {entry.id: entry for entry in memory.get_memories(sorted(ids))}


def _origins(memory: SyncMemoryManager, entry: MemoryEntry) -> list[MemoryEntry]:
    return memory.get_memories(list(entry.derived_from[:PAGE]))


def _asked(request: Request) -> Fields:
    return Fields(parse_qs(request.url.query, keep_blank_values=True))
