"""A TCP proxy that stands between a client and a server and misbehaves on request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Literal

Mode = Literal["pass", "refuse", "hang", "busy", "broken", "cut"]
_ANSWERS = {
    "busy": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy",
    "broken": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<oh!>",
}


class Proxy:
    """Forwards connections to a port.

    Args:
        port: Of the real server.

    Attributes:
        mode: "pass" forwards, "refuse" closes at once, "hang" never answers, "busy" answers 503, "broken" answers 500
            without JSON, "cut" lets the request through and closes instead of answering.
        delay: Seconds that every answer is held back.
        times: After so many misbehaviours it forwards again; None = never.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.mode: Mode = "pass"
        self.delay = 0.0
        self.times: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def misbehave(self, mode: Mode, times: int | None = None) -> None:
        """From now on, for so many requests."""
        self.times = times
        self.mode = mode

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError):
            request = _whole_message(client)
            while request:
                mode = self._due()
                if mode == "refuse":
                    return
                if mode == "hang":
                    time.sleep(30)
                    return
                if mode in _ANSWERS:
                    client.sendall(_ANSWERS[mode])
                    return
                with socket.create_connection(("127.0.0.1", self._target)) as server:
                    server.sendall(request)
                    answer = _whole_message(server)
                if mode == "cut":
                    return
                time.sleep(self.delay)
                client.sendall(answer)
                request = _whole_message(client)

    def _due(self) -> Mode:
        mode = self.mode
        if mode != "pass" and self.times is not None:
            self.times -= 1
            if self.times <= 0:
                self.mode = "pass"
        return mode

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """A proxy before a port."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()


def _whole_message(source: socket.socket) -> bytes:
    """One HTTP/1.1 message: head, and as much of a body as the head says; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = source.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += source.recv(65536)
    else:
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += source.recv(65536)
    return head + b"\r\n\r\n" + body
