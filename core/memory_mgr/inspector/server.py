"""The process: a socket on the loopback address, and uvicorn on it."""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from memory_mgr.errors import StoreUnavailableError

if TYPE_CHECKING:
    from starlette.applications import Starlette


@contextmanager
def bound(host: str, port: int) -> Iterator[sockets.socket]:
    """A socket that listens at once, so that the port is known before the link is told.

    Raises:
        StoreUnavailableError: The port is in use.
    """
    with sockets.socket() as socket:
        socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            socket.bind((host, port))
        except OSError as error:
            raise StoreUnavailableError(
                f"port {port} of {host} cannot be used: {error.strerror or error}; give another one, or 0 for any"
            ) from error
        yield socket


def run(app: Starlette, socket: sockets.socket) -> None:
    """Serve until the process is told to stop."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, date_header=False)
    uvicorn.Server(config).run(sockets=[socket])
