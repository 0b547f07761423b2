"""Who gets in: the right Host (no DNS rebinding), the right Origin (no cross-site posts), the token.

There are no scripts, and the policy of the pages allows none: remembered text that got past the escaping could still
run nothing.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Referrers stay within the site, so that browsers tell their Origin when they post."""

_ENTER = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<title>memory-mgr</title><p><a href="/">Open the inspector</a></p>'
)
"""A page rather than a redirect: the strict cookie is not sent on redirects that began on another site."""


class Guard:
    """Lets in what is addressed to us, by our own pages, with the token; everything gets the security headers.

    Args:
        app: What is guarded.
        token: The secret of the link.
        address: "host:port" of this server.
    """

    def __init__(self, app: ASGIApp, token: str, address: str) -> None:
        self._app = app
        self._token = token
        self._session = secrets.token_urlsafe(24)
        host, _, port = address.rpartition(":")
        self._hosts = {f"{name}:{port}" for name in (host, "localhost")}
        self._cookie = f"memory_mgr_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._refusal(scope) or self._entrance(scope) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: MutableMapping[str, Any]) -> Response | None:
        """Why a request is not for us, if it is not."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts:
            return PlainTextResponse("This server answers to its own address only.", 421)
        safe = scope["method"] in {"GET", "HEAD"}
        if (origin is None and not safe) or (origin is not None and origin != f"http://{host}"):
            return PlainTextResponse("This request came from another site.", 403)
        return None

    def _entrance(self, scope: MutableMapping[str, Any]) -> Response | None:
        """For those without a session: the way in if they have the token, else the door."""
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if given and scope["path"] == "/" and _same(given, self._token):
            response = HTMLResponse(_ENTER)
            response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
            return response
        if _same(HTTPConnection(scope).cookies.get(self._cookie, ""), self._session):
            return None
        return PlainTextResponse("Open the link that `memory-mgr inspect` printed.", 401)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
