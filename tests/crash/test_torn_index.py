"""Indexes that embedded Chroma cannot read: cut off while being saved, overwritten, lost. No entry goes with them."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromadb.api.models.Collection import Collection
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from memory_mgr import EmbeddingError, MemoryConfig, MemoryType, NewMemory, StoreError, SyncMemoryManager
from memory_mgr.cli.app import load
from memory_mgr.stores import chroma_repair, embedded
from memory_mgr.stores.index_files import is_whole, looks_whole
from memory_mgr.stores.opening import open_store
from memory_mgr.stores.repairing import repair_closed
from memory_mgr.testing import FakeEmbedder
from tests.server import chroma_server

from .checks import check_consistent

SAVED = 250
"""Writes after which an index is saved."""
Contents = dict[str, tuple[str, NDArray[np.float32]]]


@pytest.fixture
def embedder() -> FakeEmbedder:
    """Of the store that is torn."""
    return FakeEmbedder()


@pytest.fixture
def torn(config: MemoryConfig, embedder: FakeEmbedder) -> tuple[MemoryConfig, Contents]:
    """A store whose process died after Chroma had saved the elements of its index, before it saved their labels.

    Entries that the older labels know were deleted and replaced since, and others added.
    """
    config = config.replaced(embedder=embedder)
    with SyncMemoryManager(config) as memory:
        memory.add_memories(_memories("old", SAVED))
        labels = _index(config) / "index_metadata.pickle"
        old = labels.read_bytes()
        memory.add_memories(_memories("new", 100))
        memory.delete_memories([f"{age}-{n}" for age in ("old", "new") for n in range(20)])
        for n in range(40, 50):
            memory.update_memory(f"old-{n}", content=f"changed {n} to other{n}")
        contents = _contents(memory)
        database = (_chroma(config) / "chroma.sqlite3").read_bytes()
        memory.add_memories(_memories("late", SAVED))
        assert labels.read_bytes() != old, "the index was not saved again"
    (_chroma(config) / "chroma.sqlite3").write_bytes(database)
    labels.write_bytes(old)
    for catalog in _catalogs(config):
        catalog.unlink()
    embedder.texts = 0
    return config, contents


def _memories(age: str, count: int) -> list[NewMemory]:
    return [NewMemory(content=f"{age} fact {n} about word{n}", id=f"{age}-{n}") for n in range(count)]


def _chroma(config: MemoryConfig) -> Path:
    return Path(str(config.path)) / "chroma"


def _index(config: MemoryConfig) -> Path:
    (folder,) = [path.parent for path in _chroma(config).glob("*/index_metadata.pickle")]
    return folder


def _catalogs(config: MemoryConfig) -> list[Path]:
    assert config.catalogs is not None
    return list(config.catalogs.glob("*.sqlite3*"))


def _died(config: MemoryConfig) -> None:
    """As a process leaves its lock that does not come to close the store."""
    (_chroma(config) / "memory-mgr.lock").write_text("4711\n")


def _contents(memory: SyncMemoryManager) -> Contents:
    scanned = memory._runtime.store.scan(memory.namespace, MemoryType.LONG_TERM, with_vectors=True)
    return {
        memory_id: (content, vector)
        for read in scanned
        for memory_id, content, vector in zip(read.ids, read.contents, read.vectors, strict=True)  # type: ignore[arg-type]
    }


def _same(contents: Contents, others: Contents) -> None:
    assert contents.keys() == others.keys()
    assert {i: content for i, (content, _) in contents.items()} == {i: content for i, (content, _) in others.items()}
    for memory_id, (_, vector) in contents.items():
        np.testing.assert_allclose(others[memory_id][1], vector, atol=1e-6)


def test_plain_chroma_cannot_read_it(torn: tuple[MemoryConfig, Contents]) -> None:
    """The tests below are about something."""
    config, _ = torn
    client, stop, _ = embedded._opened(_chroma(config), chroma_repair.DEFAULT)
    try:
        (collection,) = client.list_collections()
        with pytest.raises(Exception, match="hnsw"):
            collection.get(include=["documents"])
    finally:
        stop()


@pytest.mark.parametrize("seen", ["before Chroma reads it", "when Chroma fails"])
def test_all_is_there_after_a_kill_between_two_files(
    torn: tuple[MemoryConfig, Contents], embedder: FakeEmbedder, caplog: pytest.LogCaptureFixture, seen: str
) -> None:
    """Opened as ever: each entry with its vector, nothing embedded again; and so when opened the next time."""
    config, contents = torn
    if seen == "before Chroma reads it":
        _died(config)
    with SyncMemoryManager(config) as memory:
        assert memory.search_memory("word77", limit=1)[0].id in {"old-77", "new-77"}
        _same(contents, _contents(memory))
        check_consistent(memory)
        assert embedder.texts == 1, "more than the query was embedded"
        assert "has been made anew" in caplog.text
        memory.add_memories(_memories("later", 2 * SAVED))
        later = _contents(memory)
        assert len(later) == len(contents) + 2 * SAVED
    caplog.clear()
    with SyncMemoryManager(config) as memory:
        _same(later, _contents(memory))
        check_consistent(memory)
    assert "made anew" not in caplog.text
    assert not list(_chroma(config).glob("*.npz*"))


def test_what_lies_behind_the_elements_is_not_read(torn: tuple[MemoryConfig, Contents], embedder: FakeEmbedder) -> None:
    """Chroma takes room for more than there are, and saves what happens to be in it: here others under their labels."""
    config, contents = torn
    file = _index(config) / "data_level0.bin"
    size, label = 132 + 4 * embedder.dimensions + 8, 8
    elements = np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, size)
    behind = np.concatenate([np.roll(elements[:, :-label], 1, axis=0), elements[:, -label:]], axis=1)
    file.write_bytes(elements.tobytes() + behind.tobytes())
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))
    assert embedder.texts == 0


def _overwritten(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(index: Path) -> None:
        (index / name).write_bytes(change((index / name).read_bytes()))

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no labels": lambda index: (index / "index_metadata.pickle").unlink(),
    "empty labels": _overwritten("index_metadata.pickle", lambda data: b""),
    "labels cut off": _overwritten("index_metadata.pickle", lambda data: data[: len(data) // 2]),
    "garbage in the labels": _overwritten("index_metadata.pickle", lambda data: b"\x80\x03}q" + data[100:]),
    "labels of nothing": _overwritten("index_metadata.pickle", lambda data: pickle.dumps({"id_to_label": {}}, 3)),
    "no elements": lambda index: (index / "data_level0.bin").unlink(),
    "elements cut off": _overwritten("data_level0.bin", lambda data: data[: len(data) // 3]),
    "vectors overwritten": _overwritten("data_level0.bin", lambda data: data[:5000] + bytes(20_000) + data[25_000:]),
    "no header": lambda index: (index / "header.bin").unlink(),
    "header cut off": _overwritten("header.bin", lambda data: data[:10]),
    "garbage in the header": _overwritten("header.bin", lambda data: b"\x37" * len(data)),
    "no index": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_an_index_lost_is_embedded_again(
    torn: tuple[MemoryConfig, Contents], embedder: FakeEmbedder, damage: str
) -> None:
    """Whatever became of its files, beside the kill."""
    config, contents = torn
    DAMAGES[damage](_index(config))
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))
        check_consistent(memory)
    assert 0 < embedder.texts <= len(contents)


@pytest.mark.parametrize("damage", ["no labels", "labels cut off", "no elements", "header cut off", "no index"])
def test_an_index_that_was_saved_whole_is_missed(config: MemoryConfig, damage: str) -> None:
    """Also where Chroma would say nothing, and find only what was written since the last save."""
    with SyncMemoryManager(config) as memory:
        memory.add_memories(_memories("old", SAVED))
        memory.add_memories(_memories("new", 10))
        contents = _contents(memory)
    DAMAGES[damage](_index(config))
    with SyncMemoryManager(config) as memory:
        assert memory.search_memory("old fact 7 about word7", limit=1)[0].id == "old-7"
        _same(contents, _contents(memory))
        check_consistent(memory)


def _lists(change: Callable[[NDArray[np.uint32], int], None]) -> Callable[[Path], None]:
    """A change to the links of higher levels, told where the first list's length is."""

    def damage(index: Path) -> None:
        numbers = np.fromfile(index / "link_lists.bin", "<u4")
        change(numbers, int(np.flatnonzero(numbers)[0]))
        (index / "link_lists.bin").write_bytes(numbers.tobytes())

    return damage


def _set(place: int, value: int) -> Callable[[NDArray[np.uint32], int], None]:
    def change(numbers: NDArray[np.uint32], first: int) -> None:
        numbers[first + place] = value

    return change


LINKS: dict[str, Callable[[Path], object]] = {
    "a length of gigabytes": _lists(_set(0, 3_000_000_000)),
    "a length that is none": _lists(_set(0, 7)),
    "more links than there can be": _lists(_set(1, 1000)),
    "a link to nowhere": _lists(_set(2, 1_000_000)),
    "moved by one": _overwritten("link_lists.bin", lambda data: data[4:]),
    "cut off": _overwritten("link_lists.bin", lambda data: data[: len(data) // 2]),
    "nothing but garbage": _overwritten("link_lists.bin", lambda data: b"\x37" * len(data)),
    "garbage on the lowest level": _overwritten("data_level0.bin", lambda data: b"\xff" * 100 + data[100:]),
    "a link to nowhere on the lowest level": _overwritten(
        "data_level0.bin", lambda data: data[:4] + b"\x00\x00\xff\x00" + data[8:]
    ),
}


@pytest.mark.parametrize("damage", LINKS)
def test_links_that_lead_nowhere_are_seen_before_chroma_follows_them(
    config: MemoryConfig, embedder: FakeEmbedder, damage: str
) -> None:
    """It would read gigabytes for links, and save them again, or end the process."""
    config = config.replaced(embedder=embedder)
    with SyncMemoryManager(config) as memory:
        memory.add_memories(_memories("old", SAVED))
        contents = _contents(memory)
    LINKS[damage](_index(config))
    _died(config)
    embedder.texts = 0
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))
        check_consistent(memory)
    assert embedder.texts <= 1, "more was embedded than one element that was written over"


@given(st.lists(st.tuples(st.sampled_from(["add", "delete", "replace"]), st.integers(1, 60)), max_size=12))
@settings(max_examples=25, deadline=None)
def test_what_is_saved_without_a_kill_is_whole(operations: list[tuple[str, int]]) -> None:
    """Whatever was written: nothing is taken for damaged that is not."""
    chance = np.random.default_rng(len(operations))
    with tempfile.TemporaryDirectory() as folder:
        client, stop, _ = embedded._opened(Path(folder), chroma_repair.DEFAULT)
        collection = client.create_collection(
            "writes", embedding_function=None, configuration={"hnsw": {"space": "cosine", "sync_threshold": 5}}
        )
        count = 0
        for operation, many in operations:
            ids = [f"e{n}" for n in range(count, count + many)] if operation == "add" else _some(chance, count, many)
            count += many if operation == "add" else 0
            if ids and operation == "delete":
                collection.delete(ids=ids)
            elif ids:
                vectors = chance.normal(size=(len(ids), 16)).astype(np.float32)
                collection.upsert(ids=ids, embeddings=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
            for index in Path(folder).glob("*/index_metadata.pickle"):
                assert looks_whole(index.parent)
                assert is_whole(index.parent)
        stop()


def _some(chance: np.random.Generator, count: int, many: int) -> list[str]:
    return [f"e{n}" for n in chance.choice(count, min(many, count), replace=False)]


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(20))
def test_a_repair_that_is_killed_is_done_again(
    torn: tuple[MemoryConfig, Contents], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At whichever step."""
    config, contents = torn
    steps = iter(range(1000))

    def dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(steps) == step:
                raise Killed
            result = work(*arguments, **options)
            if next(steps) == step:
                raise Killed
            return result

        return call

    with monkeypatch.context() as patch:
        for module, name in ((os, "fsync"), (os, "replace"), (shutil, "rmtree"), (Path, "unlink")):
            patch.setattr(module, name, dying(getattr(module, name)))
        patch.setattr(Collection, "upsert", dying(Collection.upsert))
        patch.setattr(chroma_repair, "_BATCH", 100)
        try:
            with SyncMemoryManager(config) as memory:
                _same(contents, _contents(memory))
            assert next(steps) <= step, "nobody died"
        except Killed:
            pass
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))
        check_consistent(memory)
    assert not list(_chroma(config).glob("*.npz*"))


def test_a_failing_embedder_leaves_the_repair_for_later(torn: tuple[MemoryConfig, Contents]) -> None:
    """Nothing is searched meanwhile, as half of it would be missing without a word."""
    config, contents = torn
    DAMAGES["no labels"](_index(config))
    broken = Broken()
    with SyncMemoryManager(config.replaced(embedder=broken)) as memory:
        for _ in range(2):
            with pytest.raises(EmbeddingError):
                memory.search_memory("word7")
        broken.works = True
        assert memory.search_memory("word7")
        _same(contents, _contents(memory))


class Broken(FakeEmbedder):
    """Cannot embed what is stored, for a while."""

    works = False

    def embed(self, texts: Sequence[str], *, kind: Any) -> Any:
        """Queries only."""
        if kind == "document" and not self.works:
            raise ConnectionError("no embedder today")
        return super().embed(texts, kind=kind)


def test_a_reader_is_told_who_can_repair_it(torn: tuple[MemoryConfig, Contents]) -> None:
    """It changes nothing."""
    config, contents = torn
    before = {path: path.read_bytes() for path in _index(config).iterdir()}
    reading = config.replaced(read_only=True)
    with pytest.raises(StoreError, match="without read_only=True"), SyncMemoryManager(reading) as memory:
        memory.search_memory("word7")
    assert {path: path.read_bytes() for path in _index(config).iterdir()} == before
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))


def _ids_without_embedder(config: MemoryConfig) -> set[str]:
    store = open_store(config, None)
    try:
        read = store.scan(("tests",), MemoryType.LONG_TERM, with_vectors=True)
        return {memory_id for part in read for memory_id in part.ids}
    finally:
        store.close()


def test_without_an_embedder_what_the_files_have_is_there(torn: tuple[MemoryConfig, Contents]) -> None:
    """Who only copies a store needs none."""
    config, contents = torn
    assert _ids_without_embedder(config) == contents.keys()


def test_without_an_embedder_what_is_lost_is_not_passed_over(torn: tuple[MemoryConfig, Contents]) -> None:
    """Who only copies a store is told to open it with the embedder, each time, and then all is there."""
    config, contents = torn
    DAMAGES["no labels"](_index(config))
    for _ in range(2):
        with pytest.raises(StoreError, match="open the store once with the embedder"):
            _ids_without_embedder(config)
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))


@pytest.mark.parametrize("made", [b"", "tables"])
def test_a_store_that_was_never_finished_is_begun_again(config: MemoryConfig, made: object) -> None:
    """The process died before Chroma had made its file, or all of its tables."""
    with SyncMemoryManager(config) as memory:
        memory.stats()
    file = _chroma(config) / "chroma.sqlite3"
    file.unlink()
    if made == b"":
        file.write_bytes(b"")
    else:
        database = sqlite3.connect(file)
        database.execute("CREATE TABLE segments (id TEXT)")
        database.execute("DROP TABLE segments")
        database.close()
    _died(config)
    with SyncMemoryManager(config) as memory:
        memory.add_memory("first")
        assert [e.content for e in memory.list_memories()] == ["first"]


def test_labels_that_name_functions_are_not_called(torn: tuple[MemoryConfig, Contents], tmp_path: Path) -> None:
    """A pickle may name any function; Chroma's has none."""
    config, contents = torn
    trap = tmp_path / "trap"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (trap,)

    (_index(config) / "index_metadata.pickle").write_bytes(pickle.dumps({"id_to_label": Trap()}, 3))
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))
    assert not trap.exists()


@pytest.mark.parametrize("database", ["default_database", "another"])
def test_a_server_that_is_stopped_is_repaired_on_command(torn: tuple[MemoryConfig, Contents], database: str) -> None:
    """It cannot read such a collection either, and nobody else reaches its files while it runs."""
    config, contents = torn
    folder = _chroma(config)
    (folder / "memory-mgr.lock").unlink()
    with closing(sqlite3.connect(folder / "chroma.sqlite3", isolation_level=None)) as db:
        db.execute("UPDATE databases SET name = ?", (database,))
    remote = {"path": None, "catalogs": None, "database": database}
    with chroma_server(folder) as url, pytest.raises(StoreError, match="hnsw"):
        SyncMemoryManager(config.model_copy(update=remote | {"url": url})).list_memories()
    done = CliRunner().invoke(load(), ["repair", str(folder), "--json"], catch_exceptions=False)
    assert len(json.loads(done.stdout)["repaired"]) == 1
    with (
        chroma_server(folder) as url,
        SyncMemoryManager(config.model_copy(update=remote | {"url": url})) as memory,
    ):
        _same(contents, _contents(memory))
    done = CliRunner().invoke(load(), ["repair", str(folder)], catch_exceptions=False)
    assert "nothing was damaged" in done.stdout


def test_before_chroma_has_made_its_tables_nothing_is_damaged(tmp_path: Path) -> None:
    """A kill may come so early."""
    (tmp_path / "chroma.sqlite3").touch()
    assert repair_closed(tmp_path) == []


def test_a_memory_that_is_closed_can_be_repaired_on_command(torn: tuple[MemoryConfig, Contents]) -> None:
    """What only the embedder can make anew is said, and made when the memory is opened."""
    config, contents = torn
    DAMAGES["no labels"](_index(config))
    with pytest.raises(StoreError, match=r"220 of the vectors .* embedder"):
        repair_closed(Path(str(config.path)))
    with SyncMemoryManager(config) as memory:
        _same(contents, _contents(memory))
    assert repair_closed(Path(str(config.path))) == []
