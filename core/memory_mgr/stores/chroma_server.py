"""A connection to a Chroma server: with limits of time, busy answers told from refusals, closed to the last socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from memory_mgr.config import MemoryConfig
from memory_mgr.errors import ConfigurationError, StoreUnavailableError

_BUSY = {408, 429, 502, 503, 504}
"""Answers that another attempt may change."""


def connection(config: MemoryConfig) -> Callable[[], Any]:
    """Connects to the server that `config` names.

    Raises:
        ConfigurationError: The url cannot be read. What is returned raises it if the database is not there.
    """
    parts = urlsplit(config.url or "")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"url must be like http://127.0.0.1:8000, not {config.url!r}")
    port = parts.port or (443 if parts.scheme == "https" else 8000)

    def connect() -> Any:
        import chromadb
        import httpx
        from chromadb.config import Settings

        # chromadb sets no time limit of its own, neither while it connects nor later; and a client of what is not there
        # would leave a socket open.
        database = f"tenants/{quote(config.tenant, safe='')}/databases/{quote(config.database, safe='')}"
        asked = f"{parts.scheme}://{parts.hostname}:{port}/api/v2/{database}"
        answer = httpx.get(asked, headers=config.headers, timeout=config.timeout_seconds)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ConfigurationError(
                f"{config.url} has no database {config.database!r} of tenant {config.tenant!r}; name one that it has "
                "(`database=`, `tenant=`), or make it with chromadb.AdminClient"
            )
        client = chromadb.HttpClient(
            host=str(parts.hostname),
            port=port,
            ssl=parts.scheme == "https",
            headers=dict(config.headers) or None,
            settings=Settings(anonymized_telemetry=False),
            tenant=config.tenant,
            database=config.database,
        )
        session = client._server._session  # type: ignore[attr-defined]
        session.timeout = httpx.Timeout(config.timeout_seconds)
        session.event_hooks = {"response": [_refuse_busy]}
        return client

    return connect


def disconnect(client: Any) -> None:
    """Close what `connection` has opened.

    chromadb's own `close` leaves the sockets of a client open and the client in a list of all (1.5.9).
    """
    from chromadb.api.shared_system_client import SharedSystemClient

    both = client, client._admin_client
    for one in both:
        one._server._session.close()
    systems = [one._system for one in both]
    every = SharedSystemClient._identifier_to_system
    counts: dict[str, int] = getattr(SharedSystemClient, "_identifier_to_refcount", {})
    for name in [name for name, system in list(every.items()) if system in systems]:
        every.pop(name, None)
        counts.pop(name, None)


def _refuse_busy(response: Any) -> None:
    """Tell "not now" from "not like this", which chromadb does not."""
    if response.status_code in _BUSY:
        raise StoreUnavailableError(
            f"the Chroma server answered {response.status_code} {response.reason_phrase}; it may be starting, "
            "overloaded, or behind a gateway that cannot reach it"
        )
