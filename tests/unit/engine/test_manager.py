"""The manager: what is stored is found, what cannot be stored is refused and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from memory_mgr import (
    ConfigurationError,
    EmbeddingMismatchError,
    InvalidFilterError,
    InvalidInputError,
    ManagerClosedError,
    MemoryConfig,
    MemoryNotFoundError,
    MemoryType,
    Message,
    NewMemory,
    StoreUnavailableError,
    SyncMemoryManager,
    UsageError,
)
from memory_mgr.testing import FakeClock, FakeEmbedder
from memory_mgr.types import ToolCall


def test_what_is_added_is_found_in_its_tier_only(memory: SyncMemoryManager) -> None:
    """A search looks into the tiers it is told to, one, several or all."""
    fact = memory.add_memory("Ana is allergic to nuts", "long_term")
    note = memory.add_memory("Ana wants nuts off the menu", MemoryType.WORKING)
    assert [h.id for h in memory.search_memory("nuts", "long_term")] == [fact.id]
    assert {h.id for h in memory.search_memory("nuts", ["long_term", "working"])} == {fact.id, note.id}
    assert {h.id for h in memory.search_memory("nuts")} == {fact.id, note.id}
    assert memory.search_memory("nuts", "episodic") == []


def test_an_entry_carries_what_was_given_and_what_was_filled_in(memory: SyncMemoryManager, clock: FakeClock) -> None:
    """Metadata may be left out; times are UTC; a naive time is taken as UTC."""
    plain = memory.add_memory("no metadata")
    assert (plain.metadata, plain.source, plain.timestamp, plain.created_at) == ({}, None, clock.now(), clock.now())
    assert 0 <= plain.importance_score <= 1
    naive = memory.add_memory("naive", timestamp=datetime(2026, 5, 1, 9))
    assert naive.timestamp == datetime(2026, 5, 1, 9, tzinfo=UTC)
    east = memory.add_memory("east", timestamp=datetime(2026, 5, 1, 9, tzinfo=timezone(timedelta(hours=2))))
    assert east.timestamp == datetime(2026, 5, 1, 7, tzinfo=UTC)
    rich = memory.add_memory("rich", "long_term", {"source": "chat-1", "deep": {"list": [1, None, {"x": 2.5}]}})
    assert rich.source == "chat-1"
    assert memory.get_memory(rich.id) == rich
    assert memory.get_memory(rich.id).metadata == {"source": "chat-1", "deep": {"list": [1, None, {"x": 2.5}]}}


def test_scores_are_ordered_and_min_score_cuts(memory: SyncMemoryManager) -> None:
    """Best first, in [0, 1]; explain names the parts."""
    memory.add_memories(["the cat sleeps", "the cat eats fish", "a boat on the river"])
    hits = memory.search_memory("what does the cat eat, fish?", explain=True)
    scores = [h.score or 0 for h in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert hits[0].content == "the cat eats fish"
    assert hits[0].explain
    assert hits[0].explain["lexical"] > 0
    few = memory.search_memory("what does the cat eat, fish?", min_score=scores[0])
    assert [h.id for h in few] == [hits[0].id]


def test_embeddings_come_on_request(memory: SyncMemoryManager) -> None:
    """Absent by default, unit vectors when asked for."""
    entry = memory.add_memory("the cat sleeps")
    assert entry.embedding is None
    assert memory.search_memory("cat")[0].embedding is None
    for found in (
        memory.get_memory(entry.id, with_embedding=True),
        memory.search_memory("cat", with_embeddings=True)[0],
    ):
        assert found.embedding is not None
        assert sum(x * x for x in found.embedding) == pytest.approx(1, abs=1e-3)


def test_filters_narrow_search_and_listing(memory: SyncMemoryManager) -> None:
    """Metadata and fields, nested and combined."""
    memory.add_memories(
        [
            NewMemory(content="red wine from the north", metadata={"kind": "wine", "rate": {"stars": 3}}, source="a"),
            NewMemory(content="white wine from the coast", metadata={"kind": "wine", "rate": {"stars": 5}}, source="b"),
            NewMemory(content="green tea from the coast", metadata={"kind": "tea", "tags": ["hot", "old"]}, source="a"),
        ]
    )

    def found(filters: dict[str, Any]) -> set[str]:
        hits = {h.content.split()[0] for h in memory.search_memory("wine or tea from the coast", filters=filters)}
        assert hits == {e.content.split()[0] for e in memory.list_memories(filters=filters)}
        return hits

    assert found({"kind": "wine"}) == {"red", "white"}
    assert found({"rate": {"stars": {"$gte": 4}}}) == found({"rate.stars": 5}) == {"white"}
    assert found({"tags": {"$contains": "hot"}}) == {"green"}
    assert found({"source": "a", "kind": {"$ne": "tea"}}) == {"red"}
    assert found({"$or": [{"kind": "tea"}, {"source": "b"}]}) == {"green", "white"}
    assert found({"$not": {"kind": "wine"}}) == {"green"}
    assert found({"memory_type": "episodic"}) == set()
    assert found({"timestamp": {"$lt": "2030-01-01"}}) == {"red", "white", "green"}


def test_listing_pages_in_order_of_time(memory: SyncMemoryManager) -> None:
    """Order is by timestamp, then by arrival; pages join without gap or overlap."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    memory.add_memories([NewMemory(content=f"{n}", timestamp=start + timedelta(hours=n % 5)) for n in range(10)])
    everything = [e.content for e in memory.list_memories("long_term")]
    assert everything == ["0", "5", "1", "6", "2", "7", "3", "8", "4", "9"]
    pages = [memory.list_memories("long_term", limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [e.content for page in pages for e in page] == everything
    assert [e.content for e in memory.list_memories(newest_first=True)] == everything[::-1]


def test_updating_changes_what_is_given_and_keeps_the_rest(memory: SyncMemoryManager, clock: FakeClock) -> None:
    """The new text is found by both its words and its vector; created_at stays."""
    entry = memory.add_memory("the cat sleeps", metadata={"a": 1}, source="s")
    clock.advance(60)
    changed = memory.update_memory(entry.id, content="the dog barks", importance_score=0.9)
    assert (changed.content, changed.importance_score) == ("the dog barks", 0.9)
    assert (changed.metadata, changed.source, changed.created_at) == ({"a": 1}, "s", entry.created_at)
    assert memory.search_memory("dog barks")[0].content == "the dog barks"
    assert memory.get_memory(entry.id) == changed
    assert memory.stats().total == 1
    assert memory.update_memory(entry.id, metadata={"b": 2}).metadata == {"b": 2}
    assert memory.list_memories(filters={"a": 1}) == []


def test_superseding_keeps_history(memory: SyncMemoryManager) -> None:
    """The old entry is hidden from search but not gone."""
    first = memory.add_memory("Noor lives in Lisbon", metadata={"about": "home"})
    second = memory.supersede_memory(first.id, "Noor lives in Porto")
    third = memory.supersede_memory(second.id, "Noor lives in Braga")
    assert [h.id for h in memory.search_memory("where does Noor live")] == [third.id]
    assert third.metadata == {"about": "home"}
    for entry in (first, second, third):
        assert [e.content.split()[-1] for e in memory.history(entry.id)] == ["Lisbon", "Porto", "Braga"]
    assert len(memory.search_memory("where does Noor live", include_superseded=True)) == 3
    with pytest.raises(InvalidInputError, match="superseded"):
        memory.supersede_memory(first.id, "Noor lives in Faro")


def test_deleting_counts_and_forgets(memory: SyncMemoryManager) -> None:
    """A deleted entry is found by nothing; deleting it again counts 0."""
    entry = memory.add_memory("the cat sleeps")
    memory.add_memory("the dog barks")
    assert (memory.delete_memory(entry.id), memory.delete_memory(entry.id)) == (1, 0)
    assert [h.content for h in memory.search_memory("cat sleeps")] == ["the dog barks"]
    with pytest.raises(MemoryNotFoundError, match=entry.id):
        memory.get_memory(entry.id)


def test_an_expired_entry_is_not_recalled(memory: SyncMemoryManager, clock: FakeClock) -> None:
    """It is hidden the moment its time is up."""
    memory.add_memory("the code is 1234", ttl_seconds=60)
    assert memory.search_memory("code")
    clock.advance(60)
    assert memory.search_memory("code") == []
    assert memory.list_memories() == []
    assert memory.stats().expired == 1


def test_adding_the_same_id_again(memory: SyncMemoryManager) -> None:
    """Same content: nothing happens. Other content or tier: refused."""
    entry = memory.add_memory("the cat sleeps", id="x")
    assert memory.add_memory("the cat sleeps", id="x") == entry
    assert memory.stats().total == 1
    with pytest.raises(InvalidInputError, match="other content"):
        memory.add_memory("the dog barks", id="x")
    with pytest.raises(InvalidInputError, match="exists in long_term"):
        memory.add_memory("the cat sleeps", "working", id="x")
    with pytest.raises(InvalidInputError, match="twice"):
        memory.add_memories([NewMemory(content="a", id="y"), NewMemory(content="b", id="y")])
    assert memory.stats().total == 1


def test_what_was_recalled_is_noted_in_little_memory(memory: SyncMemoryManager) -> None:
    """Counts of many entries are written with the next write; those of a namespace that is forgotten go with it."""
    kept = memory.add_memory("a river")
    with memory._lease() as repository:
        repository.accessed([kept.id, *(f"deleted-{n}" for n in range(6_000))], 1.0)
        memory.add_memory("another river")
        assert not repository._accesses
        assert repository.accesses()[kept.id][0] == 1
        repository.accessed([kept.id], 2.0)
        memory.forget()
        assert not repository._accesses


def test_scoped_namespaces_are_apart(memory: SyncMemoryManager) -> None:
    """A namespace sees neither those below nor its look-alikes; forgetting one leaves the others."""
    scopes = [memory.scoped(*labels) for labels in (("acme",), ("acme", "corp"), ("acme-corp",), ("Acme",), (7,))]
    for number, scope in enumerate(scopes):
        scope.add_memory(f"secret number {number}", id="same")
    assert memory.search_memory("secret number") == []
    for number, scope in enumerate(scopes):
        assert [h.content for h in scope.search_memory("secret number")] == [f"secret number {number}"]
    assert scopes[0].forget() == {t: int(t is MemoryType.LONG_TERM) for t in MemoryType}
    assert [len(s.list_memories()) for s in scopes] == [0, 1, 1, 1, 1]
    assert memory.scoped("acme").namespaces() == [("tests", "acme", "corp")]
    assert scopes[4].namespace == ("tests", "7")


BAD: list[tuple[str, Callable[[SyncMemoryManager], object], type[Exception]]] = [
    ("empty", lambda m: m.add_memory(""), InvalidInputError),
    ("blank", lambda m: m.add_memory(" \n\t"), InvalidInputError),
    ("not text", lambda m: m.add_memory(5), InvalidInputError),  # type: ignore[arg-type]
    ("unknown tier", lambda m: m.add_memory("x", "eternal"), InvalidInputError),
    ("object in metadata", lambda m: m.add_memory("x", metadata={"a": object()}), InvalidInputError),  # type: ignore[dict-item]
    ("NaN in metadata", lambda m: m.add_memory("x", metadata={"a": [float("nan")]}), InvalidInputError),
    ("number as key", lambda m: m.add_memory("x", metadata={1: "a"}), InvalidInputError),  # type: ignore[dict-item]
    ("metadata is a list", lambda m: m.add_memory("x", metadata=["a"]), InvalidInputError),  # type: ignore[arg-type]
    ("NaN importance", lambda m: m.add_memory("x", importance_score=float("nan")), InvalidInputError),
    ("importance over 1", lambda m: m.add_memory("x", importance_score=1.01), InvalidInputError),
    ("the last moment there is", lambda m: m.add_memory("x", timestamp=datetime.max), InvalidInputError),
    ("endless time to live", lambda m: m.add_memory("x", ttl_seconds=1e300), InvalidInputError),
    ("text as time", lambda m: m.add_memory("x", timestamp="today"), InvalidInputError),  # type: ignore[arg-type]
    ("no ttl", lambda m: m.add_memory("x", ttl_seconds=0), InvalidInputError),
    ("lone surrogate", lambda m: m.add_memory("bad \ud800 text"), InvalidInputError),
    ("NUL", lambda m: m.add_memory("bad \0 text"), InvalidInputError),
    ("empty id", lambda m: m.add_memory("x", id=""), InvalidInputError),
    ("one bad in many", lambda m: m.add_memories(["good", ""]), InvalidInputError),
    ("a string for many", lambda m: m.add_memories("good"), InvalidInputError),
    (
        "arguments that are none",
        lambda m: m.conversation("c").add_message(
            Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments=None),))  # type: ignore[arg-type]
        ),
        InvalidInputError,
    ),
    ("empty query", lambda m: m.search_memory("  "), InvalidInputError),
    ("negative limit", lambda m: m.search_memory("x", limit=-1), InvalidInputError),
    ("fractional limit", lambda m: m.search_memory("x", limit=1.5), InvalidInputError),  # type: ignore[arg-type]
    ("negative budget", lambda m: m.build_context("x", -1), InvalidInputError),
    ("negative offset", lambda m: m.list_memories(offset=-1), InvalidInputError),
    ("unknown operator", lambda m: m.search_memory("x", filters={"a": {"$like": "b"}}), InvalidFilterError),
    ("no tier at all", lambda m: m.search_memory("x", []), InvalidInputError),
    ("unknown id", lambda m: m.update_memory("nobody", content="x"), MemoryNotFoundError),
    ("empty label", lambda m: m.scoped(""), InvalidInputError),
]


@pytest.mark.parametrize(("call", "error"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_bad_input_is_refused_and_nothing_is_written(
    memory: SyncMemoryManager, call: Callable[[SyncMemoryManager], object], error: type[Exception]
) -> None:
    """A typed error, and the store is as it was."""
    with pytest.raises(error):
        call(memory)
    assert memory.stats().total == 0


def test_a_megabyte_is_a_text_like_any_other(memory: SyncMemoryManager) -> None:
    """It is stored whole and found by what stands deep inside."""
    text = "lorem ipsum dolor " * 58_000 + "the vault code is heliotrope"
    entry = memory.add_memory(text)
    memory.add_memory("nothing of interest")
    hit = memory.search_memory("vault code heliotrope", limit=1)[0]
    assert hit.id == entry.id
    assert hit.content == text
    assert hit.passage is not None
    assert "heliotrope" in text[slice(*hit.passage)]
    assert memory.stats().total == 2
    memory.delete_memory(entry.id)
    assert [h.content for h in memory.search_memory("vault code heliotrope")] == ["nothing of interest"]


def test_a_path_that_is_a_file(tmp_path: Any) -> None:
    """It says which path and what to do."""
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StoreUnavailableError, match="file"):
        SyncMemoryManager(path=file, embedder=FakeEmbedder())


def test_another_embedder_is_noticed(config: MemoryConfig) -> None:
    """Both embedders and the way out are named; the store is untouched."""
    with SyncMemoryManager(config) as memory:
        memory.add_memory("the cat sleeps")
    other = config.replaced(embedder=FakeEmbedder(dimensions=32, name="other"))
    with SyncMemoryManager(other) as memory, pytest.raises(EmbeddingMismatchError, match=r"fake-words.*other.*reembed"):
        memory.search_memory("cat")
    with SyncMemoryManager(config) as memory:
        assert len(memory.search_memory("cat")) == 1


def test_a_server_that_is_down() -> None:
    """It is said at once, with the address to check."""
    with pytest.raises(StoreUnavailableError, match="server"):
        SyncMemoryManager(url="http://127.0.0.1:9", embedder=FakeEmbedder())


def test_after_close_calls_are_refused(config: MemoryConfig) -> None:
    """Closing twice is fine; using it afterwards is not."""
    memory = SyncMemoryManager(config)
    scoped = memory.scoped("below")
    memory.close()
    memory.close()
    for manager in (memory, scoped):
        with pytest.raises(ManagerClosedError):
            manager.add_memory("x")
        with pytest.raises(ManagerClosedError):
            manager.search_memory("x")


def test_read_only_refuses_writes(config: MemoryConfig) -> None:
    """Reading works."""
    with SyncMemoryManager(config) as memory:
        memory.add_memory("the cat sleeps")
    with SyncMemoryManager(config.replaced(read_only=True)) as memory:
        assert memory.search_memory("cat")
        for write in (lambda: memory.add_memory("x"), memory.forget, lambda: memory.delete_memory("x")):
            with pytest.raises(UsageError, match="read_only"):
                write()


@pytest.mark.parametrize(
    "settings",
    [{"path": "a", "url": "http://b"}, {"namespace": ()}, {"write_batch": 0}, {"unknown": 1}, {"url": "ftp://x"}],
)
def test_settings_that_cannot_work(settings: dict[str, Any]) -> None:
    """A typed error that names the setting."""
    with pytest.raises(ConfigurationError):
        SyncMemoryManager(**({"embedder": FakeEmbedder()} | settings))


def test_two_managers_on_one_folder_share_it(config: MemoryConfig) -> None:
    """What one writes the other sees, and closing one leaves the other working."""
    one, two = SyncMemoryManager(config), SyncMemoryManager(config)
    one.add_memory("the cat sleeps")
    assert two.search_memory("cat")
    one.close()
    two.add_memory("the dog barks")
    assert two.stats().total == 2
    two.close()
