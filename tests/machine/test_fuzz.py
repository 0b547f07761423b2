"""Anything may be passed to any public entry point: what comes out is a result or an error of this library.

Short here; the long form is `scripts/soak fuzz`, which makes 100,000 inputs and prints how many they were.
"""

from __future__ import annotations

import inspect
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

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
from memory_mgr.stores.filters import COMBINATIONS, COMPARISONS
from memory_mgr.testing import FakeClock, FakeEmbedder

LONG_RUN = int(os.environ.get("FUZZ_INPUTS", "0"))
LEFT_OUT = {"close", "scoped", "conversation", "export_memories", "import_memories"}
"""Tried in other ways, or they end the memory that the others are tried on."""


def inputs(short: int, share: float) -> Callable[[Any], Any]:
    """How many inputs a test makes: a few, or its share of the long run."""
    return settings(
        max_examples=max(1, int(LONG_RUN * share)) if LONG_RUN else short,
        deadline=None,
        database=None,
        derandomize=not LONG_RUN,
        suppress_health_check=list(HealthCheck),
    )


texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(), max_size=10),
    st.sampled_from(
        ["", " ", "\0", "\ud800", "a" * 600, "x NEAR y*", '"', "'; DROP TABLE entries;--", "known", "chat", "k", "日本"]
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.sampled_from([10**30, -(10**30), 2**63, 2**31, -1]),
    st.floats(),
    texts,
    st.binary(max_size=5),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-14)))),
    st.sampled_from([datetime.min, datetime.max, timedelta.max, object(), ..., 1j, MemoryType.WORKING, int]),
)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts | st.integers() | st.none(), inner, max_size=3),
    ),
    max_leaves=6,
)
operators = st.sampled_from([*COMPARISONS, *COMBINATIONS, "$x", "timestamp", "source", "k", "a.b"])
filters = st.recursive(
    junk,
    lambda inner: st.dictionaries(operators, inner | st.lists(inner, max_size=3), min_size=1, max_size=2),
    max_leaves=8,
)
tiers = st.sampled_from(["long_term", "short_term", "episodic", "working"])
objects = st.dictionaries(st.text(max_size=5), junk, max_size=3)


def _built(cls: type, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: cls(**({"content": "text"} | chosen)))


new_memories = _built(
    NewMemory,
    content=texts | junk,
    metadata=objects | junk,
    source=texts | junk,
    timestamp=junk,
    importance_score=junk,
    id=texts | junk,
    ttl_seconds=junk,
    speaker=texts | junk,
    pinned=junk,
    kind=texts | junk,
    details=objects | junk,
    derived_from=st.lists(texts, max_size=2) | junk,
    found_by=st.lists(texts, max_size=2) | junk,
)
calls = st.builds(ToolCall, id=texts | junk, name=texts | junk, arguments=objects | junk)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system"]) | junk},
    optional={
        "content": texts | junk,
        "name": texts | junk,
        "id": texts | junk,
        "timestamp": junk,
        "tool_calls": st.lists(calls, max_size=2).map(tuple) | junk,
        "tool_call_id": texts | junk,
        "metadata": objects | junk,
        "original": objects | junk,
    },
).map(lambda fields: Message(**fields))
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "memory_type": tiers | st.lists(tiers, max_size=2),
    "memories": st.lists(new_memories | texts, max_size=3),
    "messages": st.lists(messages, max_size=3),
    "message": messages,
    "filters": filters,
    "metadata": objects,
    "ids": st.lists(texts, max_size=3),
    "memory_id": st.sampled_from(["known", "ghost"]),
    "limit": st.integers(0, 5),
    "offset": st.integers(0, 5),
    "budget_tokens": st.integers(0, 300),
    "reserve_tokens": st.integers(0, 300),
    "progress": st.none(),
    "max_seconds": st.sampled_from([0.001, 1]),
    "ttl_seconds": st.sampled_from([1, 0.5, 1e9]),
    "importance_score": st.floats(0, 1),
}


def _arguments(method: Callable[..., Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments for a method: what it needs, some of what it takes; likely values, texts or anything."""
    needed, optional = {}, {}
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        likely = LIKELY.get(name, texts)
        value = likely if name == "progress" else st.one_of(likely, likely, texts, junk)
        (needed if parameter.default is parameter.empty else optional)[name] = value
    return st.fixed_dictionaries(needed, optional=optional)


def _methods(target: object) -> dict[str, Callable[..., Any]]:
    return {
        name: member
        for name, member in inspect.getmembers(target, callable)
        if not name.startswith("_") and name not in LEFT_OUT
    }


class Tried:
    """One memory and its entry points, and what each may be given."""

    def __init__(self) -> None:
        self.memory = SyncMemoryManager(
            path=":memory:",
            embedder=FakeEmbedder(),
            clock=FakeClock(),
            short_term=ShortTermConfig(max_messages=4),
            episodic={"summary_tokens": 60},
        )
        chat = self.memory.conversation("chat")
        self.entry_points: dict[str, Callable[..., Any]] = {
            f"{kind}.{name}": method
            for kind, target in (("memory", self.memory), ("chat", chat), ("slots", chat.working))
            for name, method in _methods(target).items()
        }
        self.arguments = {name: _arguments(method) for name, method in self.entry_points.items()}

    def refill(self) -> None:
        """Something to work on, not too much."""
        if self.memory.stats().total > 100:
            self.memory.forget()
        if not self.memory.get_memories(["known"]):
            self.memory.add_memory("the cat sleeps", id="known", metadata={"k": 1})


@pytest.fixture
def tried() -> Iterator[Tried]:
    """One for each test."""
    tried = Tried()
    yield tried
    tried.memory.close()


def _only_typed_errors(call: Callable[..., Any], *args: Any, **options: Any) -> bool:
    """Whether it gave a result; any error must be one of ours."""
    try:
        call(*args, **options)
    except MemoryMgrError:
        return False
    return True


def _report(capsys: pytest.CaptureFixture[str], count: int) -> None:
    if LONG_RUN:
        with capsys.disabled():
            print(f" {count} inputs", end="")


def test_every_method(tried: Tried, capsys: pytest.CaptureFixture[str]) -> None:
    """All of memory, conversation and slots."""
    counts = {True: 0, False: 0}

    @inputs(400, 0.6)
    @given(st.sampled_from(sorted(tried.entry_points)), st.data())
    def run(name: str, data: st.DataObject) -> None:
        tried.refill()
        arguments = data.draw(tried.arguments[name], label=name)
        counts[_only_typed_errors(tried.entry_points[name], **arguments)] += 1

    run()
    assert counts[True], "nothing was ever accepted"
    assert counts[False], "nothing was ever refused"
    _report(capsys, sum(counts.values()))


def test_memories_and_messages_of_any_shape(tried: Tried, capsys: pytest.CaptureFixture[str]) -> None:
    """What is accepted is found again as it was given."""
    count = 0

    @inputs(300, 0.15)
    @given(new_memories, messages)
    def run(new: NewMemory, message: Message) -> None:
        nonlocal count
        count += 2
        tried.refill()
        try:
            entry = tried.memory.add_memories([new])[0]
        except MemoryMgrError:
            pass
        else:
            assert tried.memory.get_memory(entry.id).content == new.content
        try:
            told = tried.memory.conversation("chat").add_message(message)
        except MemoryMgrError:
            pass
        else:
            assert told.content == message.content

    run()
    _report(capsys, count)


def test_import_files(tried: Tried, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was tampered with is read or refused with the line that is wrong; refused, it changes nothing."""
    tried.refill()
    tried.memory.add_memory("the cat " * 200, id="long", source="book")
    tried.memory.conversation("chat").add_message(Message(role="user", content="hello"))
    stream = io.StringIO()
    tried.memory.export_memories(stream, with_vectors=True)
    whole = stream.getvalue()
    target = tried.memory.scoped("imports")
    count = 0

    @inputs(200, 0.1)
    @given(st.lists(st.tuples(st.integers(0, len(whole)), st.integers(0, 8), texts), max_size=4), junk, st.booleans())
    def run(cuts: list[tuple[int, int, str]], extra: object, as_json: bool) -> None:
        nonlocal count
        count += 1
        text = whole
        for start, length, put in cuts:
            text = text[:start] + put + text[start + length :]
        if as_json:
            lines = whole.splitlines()
            fields = json.loads(lines[1])
            fields[sorted(fields)[count % len(fields)]] = extra
            text = "\n".join([lines[0], json.dumps(fields, default=str), *lines[2:]])
        before = target.stats().total
        if not _only_typed_errors(target.import_memories, io.StringIO(text)):
            assert target.stats().total == before
        target.forget()

    run()
    _report(capsys, count)


def test_settings_of_any_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """They work or they are refused when they are made."""
    count = 0
    values = st.fixed_dictionaries({}, optional=dict.fromkeys(MemoryConfig.model_fields, junk))

    @inputs(200, 0.1)
    @given(values)
    def run(fields: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        _only_typed_errors(MemoryConfig, **fields)

    run()
    _report(capsys, count)


def test_command_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, 1 or 2, or an error of ours, which is printed as one line."""
    from memory_mgr.cli import app, look  # type: ignore[attr-defined]  # noqa: F401  (registers its commands)

    count = 0
    words = st.one_of(
        st.sampled_from(
            ["search", "stats", "replay", "--path", "--url", "-n", "a/b", "-k", "--json", "--limit", "--help"]
        ),
        st.just(str(tmp_path / "none")),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    )

    @inputs(25, 0.05)
    @given(st.lists(words, max_size=6))
    def run(arguments: list[str]) -> None:
        nonlocal count
        count += 1
        if {"demo", "doctor"} & set(arguments):
            return
        result = CliRunner().invoke(app.app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            assert isinstance(result.exception, MemoryMgrError)
        assert result.exit_code in {0, 1, 2}

    run()
    _report(capsys, count)


def test_a_refused_batch_writes_nothing(tried: Tried) -> None:
    """One bad memory among good ones: none is stored."""

    @inputs(50, 0.0)
    @given(st.lists(new_memories, min_size=1, max_size=3))
    def run(news: list[NewMemory]) -> None:
        before = tried.memory.stats().total
        with pytest.raises(InvalidInputError):
            tried.memory.add_memories([*news, NewMemory(content="")])
        assert tried.memory.stats().total == before

    run()
