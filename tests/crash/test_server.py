"""A Chroma server that is killed, restarted, slow, or answers with errors: typed errors, bounded in time, no loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from chromadb.api.shared_system_client import SharedSystemClient

from memory_mgr import (
    ConfigurationError,
    MemoryConfig,
    Message,
    ShortTermConfig,
    StoreError,
    StoreUnavailableError,
    SyncMemoryManager,
)
from memory_mgr.policy.retry import RetryConfig
from memory_mgr.testing import FakeEmbedder
from tests.server import chroma_server, free_port

from .checks import check_consistent
from .proxy import Proxy, proxied

QUICK = RetryConfig(attempts=3, wait_seconds=0.05, longest_wait_seconds=0.2)
"""So that an unavailable server is noticed within a test's patience."""


def settings(url: str, namespace: str, **more: object) -> MemoryConfig:
    """A memory on a server, impatient."""
    options = {"timeout_seconds": 5.0, "retry": QUICK, "short_term": ShortTermConfig(max_messages=50)} | more
    return MemoryConfig(url=url, namespace=namespace, embedder=FakeEmbedder(), **options)


@pytest.fixture
def proxy(chroma_url: str) -> Iterator[Proxy]:
    """A proxy before the server that all tests share."""
    with proxied(urlsplit(chroma_url).port or 0) as between:
        yield between


def test_a_killed_server_comes_back(tmp_path: Path) -> None:
    """While it is gone calls that need it say so; when it is back the same memory goes on, nothing lost or doubled."""
    port = free_port()
    with chroma_server(tmp_path, port) as url:
        memory = SyncMemoryManager(settings(url, "killed"))
        first = memory.add_memory("before the end", id="first")
    for attempt in (
        lambda: memory.add_memory("while it is gone", id="lost?"),
        lambda: memory.delete_memory("first"),
        lambda: memory.get_memory("first", with_embedding=True),
        memory.namespaces,
    ):
        with pytest.raises(StoreUnavailableError, match=r"did not answer|unavailable|connect"):
            attempt()
    with chroma_server(tmp_path, port):
        memory.add_memory("while it is gone", id="lost?")
        memory.add_memory("after it came back", id="third")
        assert [e.id for e in memory.list_memories()] == [first.id, "lost?", "third"]
        check_consistent(memory)
        memory.close()


def test_a_short_restart_is_not_noticed(tmp_path: Path) -> None:
    """Calls are made again until the server is back."""
    port = free_port()
    patient = RetryConfig(attempts=20, wait_seconds=0.2, longest_wait_seconds=1)
    with chroma_server(tmp_path, port) as url:
        memory = SyncMemoryManager(settings(url, "patient", retry=patient))
        memory.add_memory("before", id="before")
    added: list[str] = []
    worker = threading.Thread(target=lambda: added.append(memory.add_memory("meanwhile", id="meanwhile").id))
    worker.start()
    with chroma_server(tmp_path, port):
        worker.join(60)
        assert added == ["meanwhile"]
        assert len(memory.list_memories()) == 2
        memory.close()


@pytest.mark.parametrize("mode", ["refuse", "busy", "cut"])
def test_a_call_is_made_again(proxy: Proxy, mode: str) -> None:
    """Twice no answer, an answer lost on its way, or "not now": the third attempt counts, and counts once."""
    with SyncMemoryManager(settings(proxy.url, f"again-{mode}")) as memory:
        memory.add_memory("first", id="first")
        proxy.misbehave(mode, times=2)  # type: ignore[arg-type]
        memory.add_memory("second", id="second")
        assert proxy.mode == "pass"
        assert [e.id for e in memory.list_memories()] == ["first", "second"]
        check_consistent(memory)


def test_an_answer_that_was_lost_counts_once(proxy: Proxy) -> None:
    """Every answer is cut: an error; whether the server stored it or not, adding it again leaves it there once."""
    with SyncMemoryManager(settings(proxy.url, "cut")) as memory:
        memory.add_memory("first", id="first")
        proxy.misbehave("cut")
        with pytest.raises(StoreUnavailableError):
            memory.add_memory("second", id="second")
        proxy.misbehave("pass")
        memory.add_memory("second", id="second")
        assert [e.id for e in memory.list_memories()] == ["first", "second"]
        check_consistent(memory)


def test_answers_that_make_no_sense(proxy: Proxy) -> None:
    """A typed error with what was answered."""
    with SyncMemoryManager(settings(proxy.url, "broken")) as memory:
        memory.add_memory("first")
        proxy.misbehave("broken", times=1)
        with pytest.raises(StoreError, match="oh!"):
            memory.add_memory("second")


def test_a_slow_server(proxy: Proxy) -> None:
    """Slow is fine; slower than the timeout is an error after attempts times timeout at most."""
    with SyncMemoryManager(settings(proxy.url, "slow", timeout_seconds=0.6)) as memory:
        proxy.delay = 0.1
        memory.add_memory("slow", id="slow")
        proxy.delay = 3
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            memory.add_memory("slower")
        assert time.monotonic() - started < 15
        proxy.delay = 0
        assert memory.get_memory("slow").content == "slow"


def test_a_server_that_never_answers_at_the_start(proxy: Proxy) -> None:
    """Opening ends after the timeout."""
    proxy.misbehave("hang")
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        SyncMemoryManager(settings(proxy.url, "hang", timeout_seconds=0.5))
    assert time.monotonic() - started < 10


# --- write-behind ------------------------------------------------------------------------------------------------


def _say(memory: SyncMemoryManager, *numbers: int) -> None:
    for number in numbers:
        memory.conversation("chat").add_message(Message(role="user", content=f"message {number}", id=str(number)))


def _said(memory: SyncMemoryManager) -> list[str]:
    return [message.content for message in memory.conversation("chat").messages()]


def test_messages_wait_for_the_store(tmp_path: Path) -> None:
    """Said while the server is down, even at the start and over a restart; there in order, once, when it is up."""
    port = free_port()
    config = settings(
        f"http://127.0.0.1:{port}", "queue", on_unavailable="queue", queue_path=tmp_path / "queue.sqlite3"
    )
    with SyncMemoryManager(config) as memory:
        _say(memory, 0, 1)
        with pytest.raises(StoreUnavailableError):
            memory.search_memory("message")
    with chroma_server(tmp_path / "server", port), SyncMemoryManager(config) as memory:
        assert _said(memory) == ["message 0", "message 1"]
        _say(memory, 2)
    with SyncMemoryManager(config) as memory:
        _say(memory, 2, 3)
    with chroma_server(tmp_path / "server", port), SyncMemoryManager(config) as memory:
        _say(memory, 4)
        assert _said(memory) == [f"message {n}" for n in range(5)]
        check_consistent(memory)


def test_a_memory_that_loses_its_server_queues_and_recovers(proxy: Proxy, tmp_path: Path) -> None:
    """In one session: stored, queued, stored; an answer that was cut does not double the message."""
    config = settings(proxy.url, "recovers", on_unavailable="queue", queue_path=tmp_path / "queue.sqlite3")
    with SyncMemoryManager(config) as memory:
        _say(memory, 0)
        proxy.misbehave("cut")
        _say(memory, 1, 2)
        proxy.misbehave("pass")
        _until_awake(memory)
        _say(memory, 3)
        assert _said(memory) == [f"message {n}" for n in range(4)]
        check_consistent(memory)


def _until_awake(memory: SyncMemoryManager) -> None:
    queue = memory._runtime.queue
    assert queue is not None
    while queue.is_resting:
        time.sleep(0.02)


def test_the_queue_is_bounded(tmp_path: Path) -> None:
    """Beyond the limit it is an error, and what waits is kept; a forgotten namespace's messages are dropped."""
    config = settings(
        "http://127.0.0.1:9", "full", on_unavailable="queue", queue_path=tmp_path / "queue.sqlite3", queue_limit=2
    )
    with SyncMemoryManager(config) as memory:
        _say(memory, 0, 1)
        with pytest.raises(StoreUnavailableError, match="queue_limit"):
            _say(memory, 2)
        assert memory._runtime.queue is not None
        assert len(memory._runtime.queue) == 2
        with pytest.raises(StoreUnavailableError):
            memory.forget()
        assert len(memory._runtime.queue) == 0


def test_a_queue_needs_a_place() -> None:
    """A server without a folder for the queue is a setting that cannot work."""
    with pytest.raises(ConfigurationError, match="queue_path"):
        SyncMemoryManager(settings("http://127.0.0.1:9", "nowhere", on_unavailable="queue"))
    with pytest.raises(StoreUnavailableError, match="server"):  # Nothing was left open: the next one asks anew.
        SyncMemoryManager(settings("http://127.0.0.1:9", "nowhere"))


def test_what_was_done_with_the_journal_is_told(proxy: Proxy) -> None:
    """A write that fails is not told as a read."""
    with SyncMemoryManager(settings(proxy.url, "told")) as memory:
        records = memory._runtime.store.records(memory.namespace)
        assert records is not None
        records.write(["n"], ["changes"], [{"client": 0}])
        proxy.misbehave("refuse")
        with pytest.raises(StoreUnavailableError, match="writing the journal"):
            records.write(["n"], ["changes"], [{"client": 0}])
        with pytest.raises(StoreUnavailableError, match="removing from the journal"):
            records.remove(["n"])
        proxy.misbehave("pass")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files of a process are counted in /proc")
def test_a_memory_that_was_closed_leaves_no_connection(chroma_url: str) -> None:
    """Nor one that could not be opened; chromadb keeps every client it ever made."""

    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(SharedSystemClient._identifier_to_system)

    def used_once() -> None:
        with SyncMemoryManager(settings(chroma_url, "closed")) as memory:
            memory.add_memory("tea is green", id="tea")
            assert [e.id for e in memory.search_memory("tea")] == ["tea"]
        with pytest.raises(ConfigurationError, match="no database 'nobody_made_it' of tenant 'default_tenant'"):
            SyncMemoryManager(settings(chroma_url, "closed", database="nobody_made_it"))

    used_once()
    before = held()
    for _ in range(5):
        used_once()
    assert held() == before
