"""Many clients on one Chroma server: each has a catalog of its own, and all come to say the same."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import chromadb
import pytest
from chromadb.config import Settings

from memory_mgr import MemoryConfig, Message, NewMemory, SyncMemoryManager
from memory_mgr.stores import journal
from memory_mgr.testing import FakeEmbedder

Open = Callable[..., SyncMemoryManager]


@pytest.fixture
def connect(chroma_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens clients that share nothing but the server, and ask for news at every call."""
    monkeypatch.setattr(journal, "POLL_SECONDS", 0.0)
    with ExitStack() as stack:

        def open_client(**settings: object) -> SyncMemoryManager:
            client = chromadb.HttpClient(
                port=urlsplit(chroma_url).port or 0, settings=Settings(anonymized_telemetry=False)
            )
            namespace = ("shared", request.node.name)
            config = MemoryConfig(client=client, namespace=namespace, embedder=FakeEmbedder(), **settings)
            return stack.enter_context(SyncMemoryManager(config))

        yield open_client


def contents(memory: SyncMemoryManager) -> dict[str, str]:
    """What a client finds, by id."""
    return {entry.id: entry.content for entry in memory.list_memories(limit=None)}


def test_others_see_what_is_added_changed_and_deleted(connect: Open) -> None:
    """Each kind of change made by one client is found by another, in lists and in search."""
    one, other = connect(), connect()
    added = one.add_memory("the kettle is in the attic", "long_term")
    assert contents(other) == {added.id: added.content}
    assert [hit.id for hit in other.search_memory("where is the kettle?")] == [added.id]

    one.update_memory(added.id, content="the kettle is in the cellar")
    assert other.search_memory("kettle")[0].content == "the kettle is in the cellar"

    other.delete_memory(added.id)
    assert contents(one) == {}
    assert one.search_memory("kettle") == []


def test_others_see_what_leaves_the_window(connect: Open) -> None:
    """A message archived by one client is in the archive of the other, and nowhere else."""
    one, other = connect(), connect()
    one.conversation("chat").add_message(Message(role="user", content="hello"))
    assert [message.content for message in other.conversation("chat").window()] == ["hello"]
    other.conversation("chat").archive(1)
    assert one.conversation("chat").window() == []
    assert [entry.content for entry in one.list_memories("long_term")] == ["hello"]


def test_long_entries_come_with_their_passages(connect: Open) -> None:
    """A long text written by one client is found by the other through any of its passages, and leaves none behind."""
    one, other = connect(), connect()
    other.stats()
    text = " ".join(f"Paragraph {n} is about {word}. " * 12 for n, word in enumerate(["whales", "tides", "lichen"]))
    entry = one.add_memory(text, "long_term")
    (hit,) = other.search_memory("lichen")
    assert hit.id == entry.id
    other.delete_memory(entry.id)
    assert one.search_memory("lichen") == []


def test_a_namespace_that_is_forgotten_is_gone_for_all(connect: Open) -> None:
    """Forgetting removes the journal too; clients that are open find nothing and go on."""
    one, other = connect(), connect()
    one.add_memory("a secret", "long_term")
    assert len(contents(other)) == 1
    other.forget()
    assert contents(one) == {}
    again = one.add_memory("a new beginning", "long_term")
    assert contents(other) == {again.id: again.content}


def test_sequences_of_two_clients_never_meet(connect: Open) -> None:
    """New entries of clients that write in turns are numbered in the order they were written, none twice."""
    clients = connect(), connect()
    written = [clients[n % 2].add_memory(f"note {n}", "long_term") for n in range(10)]
    sequences = [entry.sequence for entry in written]
    assert sequences == sorted(set(sequences))


def test_a_catalog_that_was_closed_follows_what_happened_meanwhile(connect: Open, tmp_path: Path) -> None:
    """A catalog kept in a file learns at opening what others changed while it was closed, even if counts agree."""
    with connect(catalog_path=tmp_path) as first:
        old = first.add_memory("the door is green", "long_term")
    other = connect()
    other.delete_memory(old.id)
    new = other.add_memory("the door is blue", "long_term")
    assert contents(connect(catalog_path=tmp_path)) == {new.id: new.content}


def test_who_slept_through_too_much_looks_at_everything(connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the journal was shortened past what a client has seen, the client makes its catalog anew."""
    monkeypatch.setattr(journal, "_KEPT", 2)
    monkeypatch.setattr(journal, "_SPARE", 1)
    one, other = connect(), connect()
    other.stats()
    monkeypatch.setattr(journal, "POLL_SECONDS", 3600.0)
    for n in range(8):
        one.add_memory(f"note {n}", "long_term")
    monkeypatch.setattr(journal, "POLL_SECONDS", 0.0)
    assert contents(other) == contents(one)
    assert len(contents(other)) == 8


def test_a_change_that_failed_half_way_is_looked_at_again(connect: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client wrote before its write failed is found by others, and once it is settled all agree."""
    one, other = connect(), connect()
    other.stats()
    store = one._runtime.store
    delete = store.delete

    def fail(*arguments: object) -> None:
        monkeypatch.setattr(store, "delete", delete)
        raise ConnectionError("cut off")

    one.conversation("chat").add_message(Message(role="user", content="moved half way"))
    monkeypatch.setattr(store, "delete", fail)
    with pytest.raises(ConnectionError):
        one.conversation("chat").archive(1)
    assert [e.memory_type for e in other.list_memories()] == ["long_term"]
    assert [e.content for e in one.list_memories()] == ["moved half way"]
    assert contents(other) == contents(one)


def test_batches_are_told_in_records_of_bounded_size(connect: Open) -> None:
    """A batch of many entries reaches the other client whole."""
    one, other = connect(), connect()
    other.stats()
    one.add_memories([NewMemory(content=f"line {n}") for n in range(450)], "long_term")
    assert contents(other) == contents(one)


def test_processes_that_write_together_lose_and_double_nothing(chroma_url: str) -> None:
    """Clients in processes of their own write to one namespace; each then finds all that any of them left there."""
    check_processes(chroma_url, ["together", "together", "together", "alone"], count=9)


def check_processes(
    url: str,
    namespaces: list[str],
    count: int,
    meanwhile: Callable[[Callable[[], bool]], None] = lambda through: None,
) -> None:
    """Run one client process a namespace named; all of one namespace must agree in the end.

    Args:
        url: The server.
        namespaces: One a process.
        count: Entries each of its two threads writes.
        meanwhile: Called while they write, with a question whether all are through; it must leave nothing behind.
    """
    command = [sys.executable, "-m", "tests.shared.client", url]
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, namespace, f"client-{number}", str(count)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number, namespace in enumerate(namespaces)
        ]
        assert [_heard(client) for client in clients] == ["ready"] * len(clients)
        _go_on(clients)
        meanwhile(lambda: _have_told(clients))
        kept = [set(_heard(client)) for client in clients]
        expected = {
            name: set().union(*(k for k, n in zip(kept, namespaces, strict=True) if n == name)) for name in namespaces
        }
        # Others' changes are promised within two seconds of being written; the last was written just now.
        time.sleep(1.5)
        _go_on(clients)
        for client, name in zip(clients, namespaces, strict=True):
            assert set(_heard(client)) == expected[name]
        _go_on(clients)


def _have_told(clients: list[subprocess.Popen[str]]) -> bool:
    told, _, _ = select.select([client.stdout for client in clients], [], [], 0)
    return len(told) == len(clients)


def _heard(client: subprocess.Popen[str]) -> list[str]:
    assert client.stdout is not None
    line = client.stdout.readline()
    assert line, "the client process ended early"
    return json.loads(line)  # type: ignore[no-any-return]


def _go_on(clients: list[subprocess.Popen[str]]) -> None:
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
