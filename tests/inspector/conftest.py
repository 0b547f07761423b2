"""A real inspector: uvicorn on a port of this machine, on a store with something in it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from memory_mgr import MemoryConfig, Message, SyncMemoryManager

pytest.importorskip("starlette", reason="the inspector needs the extra [inspect]")

import uvicorn

from memory_mgr.inspector import build_app
from memory_mgr.inspector.memories import Memories
from memory_mgr.inspector.server import bound
from memory_mgr.testing import FakeEmbedder

TOKEN = "the-secret-of-the-link"
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&{{7*7}}"
"""In memories, sources, speakers, metadata and a namespace's name."""


@dataclass
class Inspector:
    """A running inspector and a browser-like client that came in by the link."""

    origin: str
    client: httpx.Client
    memory: SyncMemoryManager

    @property
    def link(self) -> str:
        """What `memory-mgr inspect` prints."""
        return f"{self.origin}/?token={TOKEN}"

    def get(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = self.client.get(self.origin + path)
        assert answer.status_code == status, answer.text
        return answer.text

    def form_token(self) -> str:
        """As the pages carry it."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.get(f"/upkeep?ns={self.memory.namespace[0]}"))
        assert found is not None
        return found[1]

    def post(self, path: str, status: int = 303, **fields: str) -> httpx.Response:
        """A form, as one of the pages sends it."""
        data = {"ns": self.memory.namespace[0], "form_token": self.form_token(), **fields}
        answer = self.client.post(self.origin + path, data=data, headers={"Origin": self.origin})
        assert answer.status_code == status, answer.text
        return answer


def serving(config: MemoryConfig) -> Iterator[Inspector]:
    """An inspector of a store, until the test is over."""
    with bound("127.0.0.1", 0) as socket, Memories(config) as memories:
        address = f"127.0.0.1:{socket.getsockname()[1]}"
        app = build_app(memories, token=TOKEN, address=address)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with httpx.Client(timeout=30) as client:
            inspector = Inspector(f"http://{address}", client, memories.of(config.namespace))
            client.get(inspector.link)
            yield inspector
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def config(tmp_path: Path) -> MemoryConfig:
    """Embedded Chroma with the small embedder."""
    return MemoryConfig(path=tmp_path / "memory", namespace="tests", embedder=FakeEmbedder())


@pytest.fixture
def inspector(config: MemoryConfig) -> Iterator[Inspector]:
    """On a store of its own, filled."""
    fill(config)
    yield from serving(config)


def fill(config: MemoryConfig) -> None:
    """A few memories, a conversation, and a namespace with an evil name."""
    with SyncMemoryManager(config) as memory:
        memory.add_memory("I am allergic to nuts", id="nuts", metadata={"topic": "food"})
        memory.add_memory("The bus leaves at nine", id="bus")
        memory.conversation("chat").add_message(Message(role="user", content="hello there"))
        memory.scoped(EVIL).add_memory(EVIL, source=EVIL, speaker=EVIL, metadata={EVIL: EVIL}, id=EVIL)
