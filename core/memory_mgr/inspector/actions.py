"""What changes something: posted forms, each with the form token; then a redirect to a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from memory_mgr.actors import acting_as
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.errors import InvalidInputError
from memory_mgr.inspector.pages import said_by
from memory_mgr.inspector.site import Fields, Site, url
from memory_mgr.types import UpkeepReport

MAX_FORM_BYTES = 12_000_000
_SHOWN_AS_EQUAL = 0.005
"""Importance is shown with two decimals; what was not touched is not taken as given by the user."""
Endpoint = Callable[[Request], Awaitable[Response]]


class Actions:
    """Each method carries out one form; they run in worker threads.

    Args:
        site: What they share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> dict[str, Endpoint]:
        """Addresses of the forms."""
        actions = {
            "/memory/edit": self._edit,
            "/memory/supersede": self._supersede,
            "/memory/delete": self._delete,
            "/undo": self._undo,
            "/prune": self._prune,
            "/consolidate": self._consolidate,
            "/forget": self._forget,
        }
        return {path: self._posted(action) for path, action in actions.items()}

    def _posted(self, action: Callable[[SyncMemoryManager, Fields], Response]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            form = Fields(parse_qs((await _body(request)).decode("utf-8", "replace"), keep_blank_values=True))
            self._site.check_form(form.text("form_token"))
            memory = self._site.memories.of(form.namespace)
            with acting_as("inspector"):
                return await run_in_threadpool(action, memory, form)

        return endpoint

    def _edit(self, memory: SyncMemoryManager, form: Fields) -> Response:
        entry = memory.get_memory(form.text("id"))
        content, importance = form.written("content"), form.share("importance")
        same = importance is not None and abs(importance - entry.importance_score) < _SHOWN_AS_EQUAL
        memory.update_memory(
            entry.id,
            content=None if content == entry.content else content,
            metadata=form.json_object("metadata") or {},
            importance_score=None if same else importance,
            pinned=form.flag("pinned"),
        )
        return _to("/memory", memory, id=entry.id, done="edited")

    def _supersede(self, memory: SyncMemoryManager, form: Fields) -> Response:
        entry = memory.supersede_memory(form.text("id"), form.written("content"))
        return _to("/memory", memory, id=entry.id, done="superseded")

    def _delete(self, memory: SyncMemoryManager, form: Fields) -> Response:
        memory.delete_memory(form.text("id"))
        return _to("/browse", memory, done="deleted")

    def _undo(self, memory: SyncMemoryManager, form: Fields) -> Response:
        memory.undo(form.text("operation"))
        return _to("/upkeep", memory, done="undone")

    def _prune(self, memory: SyncMemoryManager, form: Fields) -> Response:
        return self._done(memory, "pruned", memory.prune(form.text("tier"), quota=form.number("quota", None)))

    def _consolidate(self, memory: SyncMemoryManager, form: Fields) -> Response:
        return self._done(memory, "consolidated", memory.consolidate())

    def _forget(self, memory: SyncMemoryManager, form: Fields) -> Response:
        name = "/".join(memory.namespace)
        if form.text("name") != name:
            raise InvalidInputError(f"to forget a namespace, type its name: {name}")
        memory.forget()
        return RedirectResponse(url("/", done="forgotten"), 303)

    def _done(self, memory: SyncMemoryManager, what: str, report: UpkeepReport) -> Response:
        return self._site.page(
            "report.html",
            namespace=memory.namespace,
            done=what,
            report=report,
            said=said_by(memory, report.actions),
        )


def _to(path: str, memory: SyncMemoryManager, **query: str) -> Response:
    return RedirectResponse(url(path, memory.namespace, **query), 303)


async def _body(request: Request) -> bytes:
    """The posted form, unless it is too long.

    Raises:
        HTTPException: 413.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, "This form is too long.")
    return bytes(body)
