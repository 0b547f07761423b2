"""No call on one namespace sees or touches another, whatever the two are called.

All namespaces live in one store and hold entries of the same ids, in the same conversations, with the same words, so
each is an adversary of every other: n of them are n(n-1)/2 pairs. The long run (`pytest -m slow tests/security`) has
more than 10,000 pairs on an embedded store and more than 1,000 on a real server.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.progress import track

from memory_mgr import MemoryConfig, MemoryType, Message, NewMemory, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.testing import FakeClock, FakeEmbedder

from .adversaries import labels, namespaces, pairs

SHORT, LONG = 24, 145
SHORT_SERVER, LONG_SERVER = 10, 46
TIERS = list(MemoryType)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[SyncMemoryManager]:
    """A store that all namespaces share; few are kept open, so that they are opened and closed too."""
    place = {"path": tmp_path / "m"} if request.param == "embedded" else {"url": request.getfixturevalue("chroma_url")}
    config = MemoryConfig(
        **place, namespace="root", embedder=FakeEmbedder(8), clock=clock, open_namespaces=16, grace_days=0
    )
    with SyncMemoryManager(config) as manager:
        yield manager


def told(memory: SyncMemoryManager) -> str:
    """All that a namespace says of itself."""
    stream = io.StringIO()
    memory.export_memories(stream)
    return stream.getvalue()


def fill(memory: SyncMemoryManager, mark: str) -> None:
    """Entries under the ids that every namespace uses, each with its own mark."""
    memory.add_memories(
        [
            NewMemory(content=f"the password is {mark}", id="same", source="chat", metadata={"of": mark}),
            NewMemory(content=f"the password is {mark}", id="twin", source="chat", metadata={"of": mark}),
            NewMemory(content=f"soon over {mark}", id="over", ttl_seconds=1),
        ]
    )
    chat = memory.conversation("chat", short_term=EvictionConfig(max_messages=1))
    chat.add_messages([Message(role="user", content=f"{word} {mark}", id=word) for word in ("one", "two")])
    chat.working.set("password", mark)


def reads(memory: SyncMemoryManager) -> Iterator[str]:
    """The texts that every reading call brings."""
    for tier in (None, *TIERS):
        yield from (hit.content for hit in memory.search_memory("the password is", tier, limit=100))
        yield from (entry.content for entry in memory.list_memories(tier, limit=None, include_superseded=True))
    yield memory.build_context("what is the password", 2000, "chat").text
    yield from (entry.content for entry in memory.get_memories(["same", "twin", "over", "nobody's"]))
    yield from (entry.content for entry in memory.history("same"))
    yield from (message.content for message in memory.conversation("chat").messages())
    yield str(memory.conversation("chat").working.slots())


@pytest.mark.parametrize(
    ("store", "count"),
    [
        ("embedded", SHORT),
        ("server", SHORT_SERVER),
        pytest.param("embedded", LONG, marks=pytest.mark.slow),
        pytest.param("server", LONG_SERVER, marks=pytest.mark.slow),
    ],
    indirect=["store"],
)
def test_nothing_crosses_between_namespaces(store: SyncMemoryManager, clock: FakeClock, count: int) -> None:
    """Reads show a namespace's own entries only; changes, upkeep and forgetting leave all others as they were."""
    if count == LONG:
        assert pairs(count) > 10_000
    names = namespaces(count)
    marks = {name: f"mark{place:04}x" for place, name in enumerate(names)}
    scoped = {name: store.scoped(*name) for name in names}
    for name in track(names, disable=count < LONG_SERVER):
        fill(scoped[name], marks[name])
    others = {name: [mark for other, mark in marks.items() if other != name] for name in names}
    for name in track(names, disable=count < LONG_SERVER):
        text = "\n".join([*reads(scoped[name]), told(scoped[name])])
        assert marks[name] in text
        assert not [mark for mark in others[name] if mark in text], name
        assert scoped[name].stats().total == told(scoped[name]).count("\n") - 1
        below = [("root", *other) for other in names if other[: len(name)] == name]
        assert sorted(scoped[name].namespaces()) == sorted(below)
    clock.advance(10)
    before = {name: told(scoped[name]) for name in names}
    for turn, name in enumerate(track(names, disable=count < LONG_SERVER)):
        change(scoped[name], turn)
        assert told(scoped[name]) != before[name], name
        # Looked at beside the one that was changed and once more, all of them, at the end.
        before[name] = told(scoped[name])
        near = names[(turn + 1) % count]
        assert told(scoped[near]) == before[near], (name, near)
    assert {name: told(scoped[name]) for name in names} == before


def change(memory: SyncMemoryManager, turn: int) -> None:
    """One of the calls that change or delete."""
    calls = (
        memory.forget,
        lambda: memory.delete_memories(["same", "over"]),
        lambda: memory.update_memory("same", content="changed"),
        lambda: memory.supersede_memory("same", "replaced"),
        memory.consolidate,
        lambda: memory.prune(quota=0),
        lambda: memory.conversation("chat").delete(),
        memory.conversation("chat").working.clear,
        lambda: memory.add_memory("the password is new"),
    )
    calls[turn % len(calls)]()


IDS = st.one_of(st.sampled_from(labels()), st.text(min_size=1, max_size=40)).filter(
    lambda text: bool(text.strip()) and "\0" not in text and text.isprintable()
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(IDS, min_size=2, max_size=6, unique=True))
def test_ids_and_sources_are_taken_to_the_letter(memory: SyncMemoryManager, ids: list[str]) -> None:
    """An id or the name of a conversation never stands for another one, as a pattern, a path or another spelling."""
    memory.forget()
    memory.add_memories([NewMemory(content=f"text {n}", id=i, source=i) for n, i in enumerate(ids)])
    for place, name in enumerate(ids):
        assert memory.get_memory(name).content == f"text {place}"
        assert [e.id for e in memory.list_memories(source=name)] == [name]
        assert [e.id for e in memory.search_memory("text", filters={"source": name})] == [name]
    memory.update_memory(ids[0], content="changed")
    assert [e.content for e in memory.get_memories(ids)][1:] == [f"text {n}" for n in range(1, len(ids))]
    assert memory.conversation(ids[0]).delete() == 1
    assert sorted(e.id for e in memory.list_memories()) == sorted(ids[1:])
    assert memory.delete_memories(ids[:2]) == 1


SYNTAX = st.sampled_from(
    ['"', "*", "^", ":", "(", ")", "{", "}", "-", "+", "AND", "OR", "NOT", "NEAR", "NEAR(", ", 2)", "own", "near:",
     "{own near}:", "- own:", "'", ";", "--", "%", "\\", "secret", "nuts", "se*", "rowid",
     "words", "\u201c", "："]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(SYNTAX, min_size=1, max_size=8), glue=st.sampled_from(["", " "]))
def test_full_text_syntax_in_a_query_is_text(memory: SyncMemoryManager, parts: list[str], glue: str) -> None:
    """Operators, columns, stars and quotes match nothing beyond their words, and break nothing."""
    if not memory.stats().total:
        memory.add_memory("Ana keeps a secret about nuts", id="a")
        memory.add_memory("nothing of the kind here", id="b")
    query = glue.join(parts)
    plain = " ".join(re.findall(r"[^\W_]+", query))
    assert _matched(memory, f"{query} xyzzy") == _matched(memory, f"{plain} xyzzy")


def _matched(memory: SyncMemoryManager, query: str) -> set[str]:
    """The entries that share words with a query."""
    return {hit.id for hit in memory.search_memory(query, explain=True) if "lexical" in (hit.explain or {})}
