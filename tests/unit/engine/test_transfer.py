"""Export and import: the same bytes again, from where an import stopped, and nothing of a file that is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_mgr import (
    EmbeddingError,
    ImportFileError,
    InvalidInputError,
    MemoryConfig,
    Message,
    NewMemory,
    SyncMemoryManager,
    ToolCall,
)
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.testing import FakeClock, FakeEmbedder

LONG = " ".join(f"Sentence number {n} tells of river {n} and of mountain {n * 7}." for n in range(60))


def filled(memory: SyncMemoryManager, clock: FakeClock) -> None:
    """Entries of every tier and kind: superseded, expired, pinned, in passages, with summaries, slots, tool calls."""
    first = memory.add_memory("Ana lives in Rome", metadata={"deep": {"list": [1, None, 2.5, True, "\u2028 é"]}})
    clock.advance(60)
    memory.supersede_memory(first.id, "Ana lives in Oslo")
    memory.add_memory(LONG, source="book", importance_score=1 / 3, pinned=True)
    memory.add_memories([NewMemory(content="by questions", found_by=["where is it?", "what is it?"])])
    memory.add_memories([NewMemory(content="by nothing", found_by=[])])
    memory.add_memory("soon gone", ttl_seconds=5)
    memory.add_memories(["Ana likes chess", "Ana likes chess"])
    memory.consolidate()
    chat = memory.conversation("chat", short_term=EvictionConfig(max_messages=4))
    for n in range(6):
        clock.advance(10)
        chat.add_message(Message(role="user", content=f"question {n}", name="Ana"))
        call = ToolCall(id=f"call-{n}", name="look", arguments={"n": n})
        chat.add_message(Message(role="assistant", tool_calls=(call,)))
        chat.add_message(Message(role="tool", content=f"result {n}", tool_call_id=f"call-{n}", original={"x": [n]}))
        chat.add_message(Message(role="assistant", content=f"answer {n}"))
    chat.working.set("goal", {"city": "Oslo"})
    clock.advance(60)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The objects of a file, a line each."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("with_vectors", [False, True])
def test_an_export_read_back_exports_the_same_bytes(
    config: MemoryConfig, clock: FakeClock, tmp_path: Path, with_vectors: bool
) -> None:
    """Into another namespace, history and hidden entries included; with vectors nothing is embedded again."""
    with SyncMemoryManager(config, embedding_cache=0) as memory:
        filled(memory, clock)
        first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
        count = memory.export_memories(first, with_vectors=with_vectors)
        assert count == memory.stats().total == len(lines_of(first)) - 1
        copy = memory.scoped("copy")
        embedder = memory.config.embedder
        before = embedder.texts
        report = copy.import_memories(first)
        assert (report.added, report.replaced, report.unchanged) == (count, 0, 0)
        assert (embedder.texts == before) == with_vectors
        assert copy.export_memories(second, with_vectors=with_vectors) == count
        assert first.read_bytes() == second.read_bytes()
        assert copy.stats().counts == memory.stats().counts
        assert copy.conversation("chat").messages() == memory.conversation("chat").messages()
        assert [h.id for h in copy.search_memory("mountain 77")] == [h.id for h in memory.search_memory("mountain 77")]
        copy.rebuild_catalog()
        copy.export_memories(second, with_vectors=with_vectors)
        assert first.read_bytes() == second.read_bytes()


def test_what_is_imported_goes_on_where_the_original_was(
    memory: SyncMemoryManager, clock: FakeClock, tmp_path: Path
) -> None:
    """New messages come after the imported ones, summaries are not made twice, consolidation looks at what came."""
    filled(memory, clock)
    memory.export_memories(tmp_path / "all.jsonl")
    other = memory.scoped("other")
    other.add_memory("something else, said before")
    other.consolidate()
    other.import_memories(tmp_path / "all.jsonl")
    chat = other.conversation("chat")
    chat.add_message(Message(role="user", content="the newest question"))
    assert [m.content for m in chat.messages()][-2:] == ["answer 5", "the newest question"]
    before = len(chat.summaries())
    assert other.consolidate().errors == ()
    assert len(chat.summaries()) == before


def test_reading_a_file_again_changes_nothing(memory: SyncMemoryManager, clock: FakeClock, tmp_path: Path) -> None:
    """Nothing is written, nothing embedded."""
    filled(memory, clock)
    count = memory.export_memories(tmp_path / "all.jsonl")
    embedder = memory.config.embedder
    before = embedder.texts
    report = memory.import_memories(tmp_path / "all.jsonl")
    assert (report.added, report.unchanged) == (0, count)
    assert embedder.texts == before


def test_an_interrupted_import_goes_on(config: MemoryConfig, clock: FakeClock, tmp_path: Path) -> None:
    """After an embedder that fails half way, the second run embeds only what is missing; the result is the same."""

    class Failing(FakeEmbedder):
        calls_left = 10**6

        def embed(self, texts: Any, *, kind: Any) -> Any:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise RuntimeError("out of order")
            return super().embed(texts, kind=kind)

    embedder = Failing()
    with SyncMemoryManager(config, embedder=embedder, write_batch=4, embedding_cache=0) as memory:
        filled(memory, clock)
        memory.export_memories(tmp_path / "all.jsonl")
        copy = memory.scoped("copy")
        embedder.calls_left = 3
        with pytest.raises(EmbeddingError):
            copy.import_memories(tmp_path / "all.jsonl")
        there = copy.stats().total
        assert there == 12
        embedder.calls_left = 10**6
        report = copy.import_memories(tmp_path / "all.jsonl")
        assert report.unchanged == there
        copy.export_memories(tmp_path / "again.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()


def test_vectors_of_another_embedder_are_made_anew(memory: SyncMemoryManager, tmp_path: Path) -> None:
    """A file is a way from one embedder to another."""
    memory.add_memory("Ana is allergic to nuts")
    memory.add_memory(LONG)
    memory.export_memories(tmp_path / "all.jsonl", with_vectors=True)
    settings = MemoryConfig(path=tmp_path / "other", embedder=FakeEmbedder(32, name="other"))
    with SyncMemoryManager(settings) as other:
        other.import_memories(tmp_path / "all.jsonl")
        assert other.search_memory("nuts")[0].content == "Ana is allergic to nuts"
        assert len(other.search_memory("nuts", with_embeddings=True)[0].embedding or ()) == 32


def test_progress_filters_and_streams(memory: SyncMemoryManager) -> None:
    """A part is exported to an open stream and read from one; both tell how far they are."""
    memory.add_memories([NewMemory(content=f"fact {n}", metadata={"n": n}) for n in range(10)])
    memory.add_memory("a note", "working")
    told: list[tuple[int, int]] = []
    stream = io.StringIO()
    count = memory.export_memories(
        stream,
        memory_type="long_term",
        filters={"n": {"$lt": 4}},
        progress=lambda done, total: told.append((done, total)),
    )
    assert count == 4
    stream.seek(0)
    memory.scoped("b").import_memories(stream, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 4), (4, 4)]
    assert [e.content for e in memory.scoped("b").list_memories()] == [f"fact {n}" for n in range(4)]


def _changed(**changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(lines: list[dict[str, Any]]) -> None:
        for name, value in changes.items():
            if value is ...:
                del lines[2][name]
            else:
                lines[2][name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _changed(id=7),
        _changed(id="x" * 600),
        _changed(text=""),
        _changed(text=...),
        _changed(tier="nowhere"),
        _changed(ts="yesterday"),
        _changed(ts=3),
        _changed(imp=1.5),
        _changed(imp=True),
        _changed(seq=-1),
        _changed(seq=2**63),
        _changed(rev=10**30),
        _changed(meta=[1]),
        _changed(det="x"),
        _changed(kind="passage"),
        _changed(pin=1),
        _changed(surprise=1),
        _changed(vectors=["AAAA"]),
        lambda lines: lines[2].update(id=lines[1]["id"]),
        lambda lines: lines.pop(),
        lambda lines: lines[0].update(version=99),
        lambda lines: lines[0].pop("format"),
    ],
)
def test_a_file_with_a_wrong_line_is_refused_whole(
    memory: SyncMemoryManager, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    """The error names the line, and nothing was written."""
    memory.add_memories(["one", "two", "three"])
    memory.export_memories(tmp_path / "all.jsonl")
    lines = lines_of(tmp_path / "all.jsonl")
    change(lines)
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    other = memory.scoped("other")
    with pytest.raises(ImportFileError) as caught:
        other.import_memories(tmp_path / "bad.jsonl")
    assert caught.value.line in {1, 3}
    assert f"line {caught.value.line} " in str(caught.value)
    assert other.stats().total == 0


@pytest.mark.parametrize("raw", [b"", b"\n", b"[]\n", b"{\n", b'\xff\xfe{"a":1}\n', b'{"format":"memory-mgr export"}'])
def test_what_is_no_export_is_refused(memory: SyncMemoryManager, tmp_path: Path, raw: bytes) -> None:
    """With the line where that shows."""
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(ImportFileError):
        memory.import_memories(tmp_path / "x")
    with pytest.raises(InvalidInputError, match="cannot read"):
        memory.import_memories(tmp_path / "nowhere")


def test_conflicts_are_refused_kept_or_replaced(memory: SyncMemoryManager, tmp_path: Path) -> None:
    """An id with something else in it stops the import unless the caller says what wins."""
    memory.add_memory("version one", id="a")
    memory.add_memory("untouched", id="b")
    memory.export_memories(tmp_path / "all.jsonl")
    memory.update_memory("a", content=LONG)
    with pytest.raises(ImportFileError, match="something else") as caught:
        memory.import_memories(tmp_path / "all.jsonl")
    assert caught.value.line == 2
    assert memory.import_memories(tmp_path / "all.jsonl", on_conflict="keep").unchanged == 2
    assert memory.get_memory("a").content == LONG
    report = memory.import_memories(tmp_path / "all.jsonl", on_conflict="replace")
    assert (report.replaced, report.unchanged) == (1, 1)
    memory.export_memories(tmp_path / "again.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert memory.search_memory("mountain 77", limit=10)[0].content != LONG
    with pytest.raises(InvalidInputError, match="on_conflict"):
        memory.import_memories(tmp_path / "all.jsonl", on_conflict="perhaps")  # type: ignore[arg-type]


def test_a_failed_export_leaves_the_file_that_was_there(memory: SyncMemoryManager, tmp_path: Path) -> None:
    """A file appears when it is whole, never half."""
    memory.add_memory("one")
    (tmp_path / "kept").write_text("before")

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.export_memories(tmp_path / "kept", progress=fail)
    assert (tmp_path / "kept").read_text() == "before"
    with pytest.raises(InvalidInputError, match="cannot write"):
        memory.export_memories(tmp_path / "no" / "such" / "folder")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(st.text(), st.from_regex(r'\{"(id|text|tier|ts)": ?.*\}', fullmatch=True)), place=st.integers(0, 1)
)
def test_whatever_a_file_holds_only_typed_errors_come_out(memory: SyncMemoryManager, raw: str, place: int) -> None:
    """Any text in place of the first line or after it."""
    lines = ['{"format":"memory-mgr export","version":1,"entries":1}', ""]
    lines[place] = raw
    try:
        memory.import_memories(io.StringIO("\n".join(lines)))
    except InvalidInputError:
        assert memory.stats().total == 0
