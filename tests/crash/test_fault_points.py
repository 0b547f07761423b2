"""Every operation, interrupted before and after every single call to the store, then done again.

Two kinds of interruption: the store answers with an error and the program goes on with the same memory, and the
process dies and another one opens the memory. After either, what was acknowledged before is there once, catalog and
store agree, and doing the operation again leads to where it leads without an interruption.
"""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from memory_mgr import (
    InvalidInputError,
    MemoryConfig,
    MemoryMgrError,
    MemoryType,
    Message,
    NewMemory,
    ShortTermConfig,
    SyncMemoryManager,
    ToolCall,
)
from memory_mgr.engine import shared
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.in_memory import InMemoryStore
from memory_mgr.testing import FakeClock, FakeEmbedder

from .checks import check_consistent, check_summaries
from .faulty import FaultyStore, Killed, When

LONG = " ".join(f"Sentence number {n} tells of river {n} and of mountain {n * 7}." for n in range(40))
Scenario = Callable[[SyncMemoryManager], object]


def _message(n: int) -> list[Message]:
    call = ToolCall(id=f"call-{n}", name="look", arguments={"n": n})
    return [
        Message(role="user", content=f"question {n} about river {n}", id=f"u{n}"),
        Message(role="assistant", tool_calls=(call,), id=f"c{n}"),
        Message(role="tool", content=f"result {n}", tool_call_id=f"call-{n}", id=f"t{n}"),
        Message(role="assistant", content=f"answer {n}", id=f"a{n}"),
    ]


def filled(memory: SyncMemoryManager) -> None:
    """What every scenario starts from; all of it was acknowledged."""
    memory.add_memories([NewMemory(content=f"Ana owns {n} red bicycles", id=f"fact-{n}") for n in range(3)])
    memory.add_memories([NewMemory(content="Ana lives in Rome", id=f"rome-{n}") for n in range(2)])
    memory.add_memory(LONG, id="long", source="book")
    memory.add_memory("Ben likes tea", "episodic", id="tea")
    memory.conversation("chat").add_messages([m for n in range(2) for m in _message(n)])
    memory.conversation("chat").working.set("goal", "find the river")


def _chat(memory: SyncMemoryManager) -> None:
    for n in range(2, 4):
        memory.conversation("chat").add_messages(_message(n))
    memory.conversation("chat").evict()
    memory.summarize("chat")


def _imported(memory: SyncMemoryManager) -> None:
    stream = io.StringIO()
    with suppress(StopIteration):
        memory.export_memories(stream)
    text = stream.getvalue().replace("fact-", "copy-").replace('"long"', '"long-copy"').replace('"chat"', '"other"')
    lines = [line for line in text.splitlines() if "copy" in line]
    header = text.splitlines()[0].replace(f'"entries":{len(text.splitlines()) - 1}', f'"entries":{len(lines)}')
    memory.import_memories(io.StringIO("\n".join([header, *lines])), on_conflict="keep")


def _undone(memory: SyncMemoryManager) -> None:
    memory.prune(quota=2)
    hidden = [e for e in memory.list_memories(limit=None, include_superseded=True) if e.expires_at is not None]
    for operation_id in {change["op"] for e in hidden for change in e.details["changes"]}:  # type: ignore[index,union-attr]
        memory.undo(str(operation_id))


def _forgotten(memory: SyncMemoryManager) -> None:
    memory.forget()
    memory.add_memory("a new start", id="new")


SCENARIOS: dict[str, Scenario] = {
    "add": lambda m: m.add_memories([NewMemory(content=f"Cem has {n} cats", id=f"cat-{n}") for n in range(3)]),
    "add a long text": lambda m: m.add_memory(LONG.replace("river", "lake"), id="lake"),
    "put": lambda m: m.put_memories([NewMemory(content="short now", id="long"), NewMemory(content=LONG, id="more")]),
    "chat": _chat,
    "update": lambda m: m.update_memory("fact-1", metadata={"seen": True}, importance_score=0.9),
    "update a long text": lambda m: m.update_memory("long", content="the book is short now"),
    "update to a longer text": lambda m: m.update_memory("long", content=f"{LONG} {LONG}"),
    "update the text and the time": lambda m: m.update_memory("fact-2", content=LONG),
    "supersede": lambda m: m.supersede_memory("rome-0", "Ana lives in Oslo"),
    "supersede a long text": lambda m: m.supersede_memory("long", "the book was rewritten"),
    "delete": lambda m: m.delete_memories(["fact-0", "long", "tea"]),
    "prune": lambda m: m.prune(quota=1),
    "prune and undo": _undone,
    "consolidate": lambda m: m.consolidate(),
    "slots": lambda m: (m.conversation("chat").working.set("goal", LONG), m.conversation("chat").working.clear()),
    "reset": lambda m: m.conversation("chat").reset(),
    "delete the conversation": lambda m: m.conversation("chat").delete(),
    "import": _imported,
    "rebuild": lambda m: m.rebuild_catalog(),
    "forget": _forgotten,
}


class Place:
    """A store and a folder of catalogs that outlive the memories opened on them.

    Args:
        folder: For the catalogs.
        like: What it holds from the start, copied; None = nothing.
    """

    def __init__(self, folder: Path, like: Place | None = None) -> None:
        self._inner = InMemoryStore(EmbeddingSpace("fake-words", 64))
        self.store = FaultyStore(self._inner)
        self.folder = folder
        if like is not None:
            shutil.copytree(like.folder, folder)
            for key, shelf in like._inner._shelves.items():
                self._inner._shelves[key] = dict(shelf)
        self._config = MemoryConfig(
            path=":memory:",
            catalog_path=folder,
            embedder=FakeEmbedder(),
            clock=FakeClock(),
            short_term=ShortTermConfig(max_messages=8),
            episodic={"summary_tokens": 60},
        )

    @contextmanager
    def opened(self) -> Iterator[SyncMemoryManager]:
        """A memory on this place, left without goodbye if a `Killed` passes."""
        memory = SyncMemoryManager(self._config)
        try:
            yield memory
        except Killed:
            for repository in memory._runtime.pool.open_repositories():
                repository._catalog.close()
            raise
        else:
            memory.close()


@pytest.fixture(scope="module")
def first_place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that is filled, to be copied."""
    first = Place(tmp_path_factory.mktemp("first") / "catalogs")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shared, "open_store", lambda config, space, embed: first.store)
        with first.opened() as memory:
            filled(memory)
    return first


@pytest.fixture
def new_place(tmp_path: Path, first_place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Place]:
    """Makes places that are filled already; memories that are opened next are on the last one made."""
    count = itertools.count()

    def make() -> Place:
        place = Place(tmp_path / str(next(count)), like=first_place)
        monkeypatch.setattr(shared, "open_store", lambda config, space, embed: place.store)
        return place

    return make


def _told(memory: SyncMemoryManager) -> list[tuple[str, ...]]:
    """What is in a memory, apart from ids and counts that differ from run to run.

    When messages leave the window, and what a summary covers, depends on when the last attempt succeeded.
    """
    return sorted(
        (
            "" if e.kind == "message" else e.memory_type.value,
            e.kind,
            e.content,
            str(e.source),
            str(e.superseded_by is not None),
            str(e.expires_at),
        )
        for e in memory.list_memories(limit=None, include_superseded=True)
        if e.kind != "summary"
    )


def _again(memory: SyncMemoryManager, scenario: Scenario) -> None:
    """Do it again; that it was done already is an answer too."""
    with suppress(InvalidInputError):
        scenario(memory)


def _check(memory: SyncMemoryManager, name: str) -> None:
    check_consistent(memory)
    if "conversation" not in name and name != "forget":
        check_summaries(memory)


@pytest.mark.parametrize("points", [5, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_an_interrupted_operation_can_be_done_again(
    new_place: Callable[[], Place], name: str, kill: bool, points: int | None
) -> None:
    """At every call to the store, before it and after it: consistent afterwards, and the same in the end.

    The short form takes a few of the calls, spread over the operation; the slow one all.
    """
    scenario = SCENARIOS[name]
    place = new_place()
    with place.opened() as memory:
        place.store.arm(0, "before", kill=kill)
        scenario(memory)
        calls = len(place.store.calls)
        _again(memory, scenario)
        expected = _told(memory)
        _check(memory, name)
    assert calls, "the scenario does not touch the store"
    step = 1 if points is None else max(1, calls // points)
    for at in range(1, calls + 1, step):
        for when in ("before", "after"):
            _interrupted(new_place(), name, at, when, kill=kill, expected=expected)  # type: ignore[arg-type]


def _interrupted(place: Place, name: str, at: int, when: When, *, kill: bool, expected: list[tuple[str, ...]]) -> None:
    scenario = SCENARIOS[name]
    place.store.arm(at, when, kill=kill)
    if kill:
        with suppress(Killed), place.opened() as memory:
            scenario(memory)
        place.store.arm(0, "before", kill=False)
    else:
        with place.opened() as memory:
            with suppress(MemoryMgrError):
                scenario(memory)
            place.store.arm(0, "before", kill=False)
            _there(memory, name)
            _check(memory, name)
            _again(memory, scenario)
            assert _told(memory) == expected, f"{when} call {at}"
    with place.opened() as memory:
        _there(memory, name)
        _check(memory, name)
        _again(memory, scenario)
        _check(memory, name)
        assert _told(memory) == expected, f"{when} call {at}"


def _there(memory: SyncMemoryManager, name: str) -> None:
    """What was acknowledged before and is not what the operation is about is there."""
    memory.stats()
    if name != "forget":
        told = {entry.id: entry for entry in memory.list_memories(limit=None, include_superseded=True)}
        assert {"fact-1", "fact-2", "rome-0", "rome-1"} <= told.keys()
        messages = [e for e in told.values() if e.kind == "message" and e.memory_type is not MemoryType.WORKING]
        if name not in {"reset", "delete the conversation"}:
            assert len([e for e in messages if e.source == "chat"]) >= 8
