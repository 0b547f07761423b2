"""One client a folder, which begins anew when there are many indexes in memory: nobody notices."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings

from memory_mgr import MemoryConfig, NewMemory, StoreError, SyncMemoryManager
from memory_mgr.stores import embedded, leftovers
from memory_mgr.stores.embedded import EmbeddedClient
from memory_mgr.testing import FakeEmbedder


@pytest.fixture(autouse=True)
def _few_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "INDEXES", 2)


def opened(folder: Path) -> SyncMemoryManager:
    """A store."""
    return SyncMemoryManager(MemoryConfig(path=folder, namespace="app", embedder=FakeEmbedder()))


def test_many_namespaces_do_not_notice_each_other(tmp_path: Path) -> None:
    """Far more collections than indexes are kept: each is found, changed and deleted as if it were the only one."""
    with opened(tmp_path) as memory:
        users = [memory.scoped(f"user-{n}") for n in range(12)]
        for _ in range(2):
            for number, user in enumerate(users):
                user.add_memory(f"user {number} likes rivers")
                user.add_memory("an answer", "short_term")
        for number, user in enumerate(users):
            found = user.similar_memories(f"user {number} likes rivers", "long_term")
            assert [e.content for e in found] == [f"user {number} likes rivers"] * 2
            assert len(user.search_memory("rivers", limit=10)) == 4
            user.supersede_memory(found[1].id, "seas, now")
            user.delete_memories([found[0].id])
        assert all(user.stats().total == 4 for user in users)


@pytest.mark.parametrize("saved", [0, 260])
def test_vectors_are_those_last_written(tmp_path: Path, saved: int) -> None:
    """Whether or not Chroma has saved an index: what came after is in it when others have been used meanwhile."""
    texts = [f"text {n}" for n in range(saved)]
    with opened(tmp_path) as memory:
        user, others = memory.scoped("user"), [memory.scoped(f"other-{n}") for n in range(3)]
        user.add_memories([NewMemory(content=text) for text in texts])
        entry = user.add_memory("first")
        for text in ("second", "third"):
            user.update_memory(entry.id, content=text)
            for other in others:
                other.similar_memories(other.add_memory("something").content)
            found = user.search_memory(text, limit=1, with_embeddings=True)[0]
            expected = FakeEmbedder().embed([text], kind="document")[0]
            assert found.content == text
            assert found.embedding == pytest.approx(expected, abs=1e-6)
            assert user.similar_memories(text)[0].content == text


def test_many_threads_while_clients_come_and_go(tmp_path: Path) -> None:
    """Calls under way go on with the client they have; forgetting, which rewrites the files, waits for them."""

    def work(memory: SyncMemoryManager, number: int) -> int:
        user = memory.scoped(f"user-{number}")
        for turn in range(6):
            user.add_memory(f"{number} said {turn}")
            assert len(user.similar_memories("said", limit=10)) == turn + 1
        if number % 3 == 0:
            user.forget()
        return user.stats().total

    with opened(tmp_path) as memory, ThreadPoolExecutor(8) as pool:
        totals = list(pool.map(lambda n: work(memory, n), range(16)))
    assert totals == [0 if n % 3 == 0 else 6 for n in range(16)]
    with opened(tmp_path) as memory:
        assert [memory.scoped(f"user-{n}").stats().total for n in range(16)] == totals


def used(client: EmbeddedClient, name: str) -> None:
    """Write to a collection."""
    with client.call(name):
        collection = client.client.get_or_create_collection(name, embedding_function=None)
        collection.upsert(ids=["a"], embeddings=np.ones((1, 2), np.float32))


def test_a_client_begins_anew_only_for_another_collection(tmp_path: Path) -> None:
    """Those in use are not closed for one another, and nothing closes during a call."""
    client = EmbeddedClient(tmp_path)
    first = client.client
    for name in ("one", "two", "one", "two"):
        used(client, name)
        assert client.client is first
    with client.call("one"):
        used(client, "three")  # inside of a call it has to stay
        assert client.client is first
    used(client, "four")
    assert client.client is not first
    client.close()


@pytest.mark.parametrize("how", ["renewed", "alone"])
def test_a_client_that_cannot_begin_is_tried_again(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call tells what is wrong; when it is put right the next one finds all there."""
    client = EmbeddedClient(tmp_path)
    used(client, "one")
    used(client, "two")
    anew: dict[str, Callable[[], None]] = {
        "renewed": lambda: used(client, "three"),
        "alone": lambda: client.alone(lambda: None),
    }
    with monkeypatch.context() as patch:
        patch.setattr(chromadb.config.System, "start", _refuse)
        for call in (anew[how], anew["renewed"]):
            with pytest.raises(StoreError, match="no more files"):
                call()
    used(client, "three")
    assert client.client.get_collection("one", embedding_function=None).count() == 1
    client.close()


def _refuse(system: object) -> None:
    raise OSError("no more files")


def test_the_files_are_closed_for_what_is_done_alone(tmp_path: Path) -> None:
    """No client is open then, and one is again afterwards, whatever happened."""
    client = EmbeddedClient(tmp_path)
    used(client, "one")
    seen: list[object] = []
    client.alone(lambda: seen.append(client.client))
    assert seen == [None]
    with pytest.raises(ZeroDivisionError):
        client.alone(lambda: [][1 // 0])
    used(client, "one")
    client.close()


def test_a_client_of_the_application_is_its_own(tmp_path: Path) -> None:
    """An application that has opened the folder with chromadb itself goes on using it beside the memory."""
    own = chromadb.PersistentClient(str(tmp_path / "chroma"), settings=Settings(anonymized_telemetry=False))
    kept = own.create_collection("documents", embedding_function=None)
    with opened(tmp_path) as memory:
        for n in range(4):
            memory.scoped(f"user-{n}").add_memory("tea is green")
            kept.add(ids=[f"{n}"], embeddings=[[1.0, 0.0]])
        assert memory.scoped("user-0").search_memory("tea")[0].content == "tea is green"
    assert kept.count() == 4


def test_memory_of_large_writes_goes_back_to_the_system(config: MemoryConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, however the entries were written: each time takes some milliseconds."""
    given_back: list[int] = []
    monkeypatch.setattr(embedded, "give_back", lambda: given_back.append(1))
    monkeypatch.setattr(embedded, "_MANY", 100)
    monkeypatch.setattr(embedded, "INDEXES", 256)
    with SyncMemoryManager(config) as memory:
        memory.add_memories([f"fact {n}" for n in range(99)])
        assert given_back == []
        memory.add_memory("one more")
        assert given_back == [1]
        memory.add_memories([f"further fact {n}" for n in range(250)])
        assert given_back == [1, 1]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files of a process are counted in /proc")
def test_a_collection_made_anew_again_and_again_leaves_no_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma keeps those of every collection that was deleted; a long chat has its window made anew all the time."""
    monkeypatch.setattr(leftovers, "LEAST", 1)
    monkeypatch.setattr(embedded, "DROPPED", 3)
    with opened(tmp_path) as memory:
        kept = memory.add_memory("what stays")
        files = []
        for number in range(rounds := 16):
            memory.delete_memories([memory.add_memory(f"what goes {n}").id for n in range(number, number + 5)])
            files.append(len(list(Path("/proc/self/fd").iterdir())))
        assert max(files) < min(files) + 4 * rounds / 2, "each round leaves four"
        assert [e.id for e in memory.search_memory("what stays", limit=10)] == [kept.id]
