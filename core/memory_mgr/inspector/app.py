"""Addresses and what answers them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from memory_mgr.errors import MemoryMgrError, MemoryNotFoundError
from memory_mgr.inspector.actions import Actions
from memory_mgr.inspector.guard import Guard
from memory_mgr.inspector.memories import Memories
from memory_mgr.inspector.pages import Pages
from memory_mgr.inspector.site import Site


def build(memories: Memories, *, token: str, address: str) -> Starlette:
    """The application."""
    site = Site(memories)
    pages, actions = Pages(site), Actions(site)
    routes = [
        Route("/", pages.namespaces),
        Route("/browse", pages.browse),
        Route("/search", pages.search),
        Route("/context", pages.context),
        Route("/memory", pages.memory),
        Route("/upkeep", pages.upkeep),
        Route("/export", pages.export),
        Route("/style.css", _file("style.css", "text/css")),
        Route("/icon.svg", _file("icon.svg", "image/svg+xml")),
    ]
    if not memories.read_only:
        routes += [Route(path, action, methods=["POST"]) for path, action in actions.routes().items()]

    def failed(_: Request, error: Exception) -> Response:
        return site.page("error.html", status=404 if isinstance(error, MemoryNotFoundError) else 400, error=error)

    def missing(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return site.page("error.html", status=status, error=getattr(error, "detail", error))

    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, address=address)],
        exception_handlers={MemoryMgrError: failed, HTTPException: missing},
    )


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    """One file of the package: no address is ever turned into a path."""
    content = (resources.files("memory_mgr.inspector") / name).read_bytes()
    return lambda _: Response(content, media_type=media_type)
