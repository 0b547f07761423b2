"""Random programs over the whole API, compared step by step with a model of plain dictionaries.

Short here; the long form is `scripts/soak machine`, which runs 50,000 steps and prints how many they were.
"""

from __future__ import annotations

import copy
import io
import os
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from memory_mgr import (
    InvalidInputError,
    MemoryConfig,
    MemoryEntry,
    MemoryNotFoundError,
    MemoryType,
    Message,
    NewMemory,
    ShortTermConfig,
    ToolCall,
)
from memory_mgr.defaults.adapters import as_token_counter
from memory_mgr.engine.messages import entry_id
from memory_mgr.testing import FakeClock, FakeEmbedder
from tests.crash.checks import check_consistent
from tests.server import chroma_server

from .driver import Driver, Face
from .model import Kept, Model

WINDOW = 6
STEPS_A_STATS = 10  # It looks at every file of the store.
SCOPES = ("acme", "acme-corp")
TIERS = [tier.value for tier in MemoryType]
WORDS = ["river", "mountain", "Ana", "Ben", "lives in Rome", "lives in Oslo", "owns a red bike", "naïve café", "日本語"]
LONG = " ".join(f"Sentence number {n} tells of river {n} and of mountain {n * 7}." for n in range(30))

scopes = st.sampled_from(SCOPES)
tiers = st.sampled_from(TIERS)
contents = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30).filter(
        lambda text: bool(text.strip())
    ),
    st.just(LONG),
)
names = st.sampled_from(["k", "topic", "n"])
words = st.sampled_from(["a", "ab", "b"])
values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), words, st.just(""))
metadatas = st.dictionaries(names, values | st.lists(st.sampled_from(["a", "b", 1]), max_size=3), max_size=3)
comparable = st.one_of(st.integers(-3, 3), st.floats(-2, 2), words)
conditions = st.one_of(
    values,
    st.builds(lambda op, v: {op: v}, st.sampled_from(["$eq", "$ne"]), values),
    st.builds(lambda op, v: {op: v}, st.sampled_from(["$gt", "$gte", "$lt"]), comparable),
    st.builds(lambda op, v: {op: v}, st.sampled_from(["$in", "$nin"]), st.lists(values, min_size=1, max_size=3)),
    st.builds(lambda v: {"$contains": v}, st.sampled_from(["a", "b", 1])),
)
simple = st.dictionaries(names, conditions, min_size=1, max_size=2)
filters = st.one_of(
    st.none(),
    simple,
    st.builds(
        lambda op, parts: {op: parts}, st.sampled_from(["$and", "$or"]), st.lists(simple, min_size=1, max_size=3)
    ),
    st.builds(lambda part: {"$not": part}, simple),
    st.builds(lambda source: {"source": source}, st.sampled_from(["s1", "s2"])),
)
chosen = st.integers(0, 10**6)
chats = st.sampled_from(["chat-1", "chat-2"])


class MemoryMachine(RuleBasedStateMachine):
    """Each rule does one thing to memory and model; the invariant compares them."""

    place: ClassVar[Callable[[], dict[str, Any]]]
    face: ClassVar[Face]
    steps: ClassVar[int] = 0

    @initialize()
    def open(self) -> None:
        """A fresh namespace; what is below it is all that the program sees."""
        self.clock = FakeClock()
        self.root = uuid.uuid4().hex
        self.models = {scope: Model() for scope in SCOPES}
        self.where = type(self).place()
        self.driver = self._opened()

    def _opened(self) -> Driver:
        config = MemoryConfig(
            namespace=self.root,
            embedder=FakeEmbedder(),
            clock=self.clock,
            short_term=ShortTermConfig(max_messages=WINDOW),
            episodic={"summary_tokens": 60},
            **self.where,
        )
        return Driver(config, self.face)

    def _pick(self, scope: str, number: int) -> str:
        known = sorted(self.models[scope].memories())
        assume(known)
        return known[number % len(known)]

    # --- writing -----------------------------------------------------------------------------------------------

    @rule(scope=scopes, tier=tiers, content=contents, metadata=metadatas, source=st.sampled_from([None, "s1", "s2"]))
    def add(self, scope: str, tier: str, content: str, metadata: dict[str, Any], source: str | None) -> None:
        """What is added is there."""
        entry = self.driver.call(scope, "add_memory", content, tier, metadata, source=source)
        assert entry.namespace == (self.root, scope)
        self.models[scope].entries[entry.id] = Kept(content, tier, metadata, source)

    @rule(scope=scopes, content=contents, ttl=st.sampled_from([60.0, 3600.0, 86400.0]))
    def add_for_a_while(self, scope: str, content: str, ttl: float) -> None:
        """It expires when its time is up."""
        entry = self.driver.call(scope, "add_memory", content, "long_term", ttl_seconds=ttl)
        expires = self.clock.now() + timedelta(seconds=ttl)
        self.models[scope].entries[entry.id] = Kept(content, "long_term", expires=expires)

    @rule(scope=scopes, tier=tiers, texts=st.lists(contents, min_size=1, max_size=5), spoiled=st.booleans())
    def add_several(self, scope: str, tier: str, texts: list[str], spoiled: bool) -> None:
        """All of them or, if one cannot be stored, none."""
        news = [NewMemory(content=text, id=uuid.uuid4().hex) for text in texts]
        if spoiled:
            with pytest.raises(InvalidInputError):
                self.driver.call(scope, "add_memories", [*news, NewMemory(content=" ")], tier)
            return
        self.driver.call(scope, "add_memories", news, tier)
        self.models[scope].entries |= {str(new.id): Kept(new.content, tier) for new in news}

    @rule(scope=scopes, number=chosen, content=contents)
    def add_an_id_again(self, scope: str, number: int, content: str) -> None:
        """The same content changes nothing, another one is refused."""
        memory_id = self._pick(scope, number)
        kept = self.models[scope].entries[memory_id]
        self.driver.call(scope, "add_memories", [NewMemory(content=kept.content, id=memory_id)], kept.tier)
        if content != kept.content:
            with pytest.raises(InvalidInputError):
                self.driver.call(scope, "add_memories", [NewMemory(content=content, id=memory_id)], kept.tier)

    @rule(scope=scopes, number=chosen, content=contents, metadata=metadatas)
    def put(self, scope: str, number: int, content: str, metadata: dict[str, Any]) -> None:
        """What an id held is replaced whole."""
        memory_id = self._pick(scope, number)
        tier = self.models[scope].entries[memory_id].tier
        self.driver.call(scope, "put_memories", [NewMemory(content=content, id=memory_id, metadata=metadata)], tier)
        self.models[scope].entries[memory_id] = Kept(content, tier, metadata)

    @rule(scope=scopes, number=chosen, content=st.none() | contents, metadata=st.none() | metadatas)
    def update(self, scope: str, number: int, content: str | None, metadata: dict[str, Any] | None) -> None:
        """What is given changes, the rest stays."""
        memory_id = self._pick(scope, number)
        given = {k: v for k, v in (("content", content), ("metadata", metadata)) if v is not None}
        self.driver.call(scope, "update_memory", memory_id, **given)
        self.models[scope].change(memory_id, **given)

    @rule(scope=scopes, number=chosen, content=contents)
    def supersede(self, scope: str, number: int, content: str) -> None:
        """The old one is hidden and stays in the history; it can be superseded once."""
        memory_id = self._pick(scope, number)
        kept = self.models[scope].entries[memory_id]
        if kept.superseded:
            with pytest.raises(InvalidInputError):
                self.driver.call(scope, "supersede_memory", memory_id, content)
            return
        new = self.driver.call(scope, "supersede_memory", memory_id, content)
        self.models[scope].change(memory_id, superseded=True)
        self.models[scope].entries[new.id] = Kept(content, kept.tier, kept.metadata, kept.source)
        assert [e.id for e in self.driver.call(scope, "history", new.id)][-2:] == [memory_id, new.id]

    @rule(scope=scopes, numbers=st.lists(chosen, min_size=1, max_size=3), ghost=st.booleans())
    def delete(self, scope: str, numbers: list[int], ghost: bool) -> None:
        """What is deleted is gone, and counted."""
        ids = list({self._pick(scope, number) for number in numbers})
        assert self.driver.call(scope, "delete_memories", ids + ["ghost"] * ghost) == len(ids)
        for memory_id in ids:
            del self.models[scope].entries[memory_id]
            with pytest.raises(MemoryNotFoundError):
                self.driver.call(scope, "get_memory", memory_id)

    @rule(scope=scopes)
    def forget(self, scope: str) -> None:
        """The namespace is empty, the other one is not."""
        assume(len(self.models[scope].entries) > 5)
        self.driver.call(scope, "forget")
        self.models[scope] = Model()

    # --- conversations -----------------------------------------------------------------------------------------

    @rule(scope=scopes, chat=chats, content=contents, called=st.booleans())
    def say(self, scope: str, chat: str, content: str, called: bool) -> None:
        """Every message is kept in order, the window within its limit."""
        number = uuid.uuid4().hex
        turn = [Message(role="user", content=content, id=f"{number}-0")]
        if called:
            call = ToolCall(id=number, name="look", arguments={"n": 1})
            turn.append(Message(role="assistant", tool_calls=(call,), id=f"{number}-1"))
            turn.append(Message(role="tool", content="found", tool_call_id=number, id=f"{number}-2"))
        turn.append(Message(role="assistant", content="I see", id=f"{number}-3"))
        self.driver.chat(scope, chat, "add_messages", turn)
        model = self.models[scope]
        for message in turn:
            memory_id = entry_id(chat, str(message.id))
            model.messages.setdefault(chat, []).append((memory_id, str(message.id)))
            model.entries[memory_id] = Kept(message.content, None, kind="message")
        assert len(self.driver.chat(scope, chat, "window")) <= max(WINDOW, len(turn))
        self.messages_are_all_there(scope, chat)

    @rule(scope=scopes, chat=chats)
    def messages_are_all_there(self, scope: str, chat: str) -> None:
        """In order, once each, archived or not."""
        told = [message.id for message in self.driver.chat(scope, chat, "messages")]
        assert told == [number for _, number in self.models[scope].messages.get(chat, [])]

    @rule(scope=scopes, chat=chats)
    def summarize(self, scope: str, chat: str) -> None:
        """A summary stands for messages that are there."""
        summary = self.driver.call(scope, "summarize", chat)
        if summary is not None:
            assert set(summary.derived_from) <= self.models[scope].entries.keys()

    @rule(scope=scopes, chat=chats, key=st.sampled_from("abc"), value=values)
    def set_slot(self, scope: str, chat: str, key: str, value: Any) -> None:
        """A slot has the value it was last given."""
        self.driver.chat(scope, chat, "slot.set", key, value)
        self.models[scope].slots.setdefault(chat, {})[key] = value
        assert self.driver.chat(scope, chat, "slot.all") == self.models[scope].slots[chat]

    @rule(scope=scopes, chat=chats, key=st.sampled_from("abc"))
    def delete_slot(self, scope: str, chat: str, key: str) -> None:
        """It was set or it was not."""
        there = key in self.models[scope].slots.get(chat, {})
        assert self.driver.chat(scope, chat, "slot.delete", key) == there
        self.models[scope].slots.get(chat, {}).pop(key, None)

    # --- reading -----------------------------------------------------------------------------------------------

    @rule(scope=scopes, tier=st.none() | tiers, given=filters, hidden=st.booleans(), newest=st.booleans())
    def list(self, scope: str, tier: str | None, given: dict[str, Any] | None, hidden: bool, newest: bool) -> None:
        """Exactly what a brute-force reading of the filter says, in order of time, in pages too."""
        options = {"filters": given, "include_superseded": hidden, "newest_first": newest}
        listed = self.driver.call(scope, "list_memories", tier, limit=None, **options)
        times = [(e.timestamp, e.sequence) for e in listed]
        assert times == sorted(times, reverse=newest)
        expected = self.models[scope].selected(self.clock.now(), [tier] if tier else None, given, hidden=hidden)
        assert {e.id for e in listed if e.kind == "memory"} == expected
        page = self.driver.call(scope, "list_memories", tier, limit=2, offset=1, **options)
        assert [e.id for e in page] == [e.id for e in listed][1:3]

    @rule(scope=scopes, query=contents, tier=st.none() | tiers, given=filters, limit=st.integers(0, 8))
    def search(self, scope: str, query: str, tier: str | None, given: dict[str, Any] | None, limit: int) -> None:
        """Only what is visible and selected, best first, no more than asked for."""
        hits = self.driver.call(scope, "search_memory", query, tier, limit, given)
        assert len(hits) == len({hit.id for hit in hits}) <= limit
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        expected = self.models[scope].selected(self.clock.now(), [tier] if tier else None, given)
        assert {hit.id for hit in hits if hit.kind == "memory"} <= expected

    @rule(scope=scopes, query=contents, budget=st.integers(0, 300), chat=st.none() | chats)
    def context(self, scope: str, query: str, budget: int, chat: str | None) -> None:
        """Within the budget, counted on exactly the text; nothing that is hidden."""
        context = self.driver.call(scope, "build_context", query, budget, chat)
        assert context.tokens <= budget
        assert context.tokens == as_token_counter(None).count(context.text)
        visible = self.models[scope].selected(self.clock.now(), None, None)
        assert {e.id for e in context.entries if e.kind == "memory"} <= visible

    # --- upkeep ------------------------------------------------------------------------------------------------

    @rule(scope=scopes, quota=st.integers(0, 6), taken_back=st.booleans(), merge=st.booleans())
    def upkeep(self, scope: str, quota: int, taken_back: bool, merge: bool) -> None:
        """What the report says is hidden, the rest is untouched, and undoing brings it back."""
        method, options = ("consolidate", {}) if merge else ("prune", {"quota": quota})
        would = self.driver.call(scope, method, dry_run=True, **options)
        report = self.driver.call(scope, method, **options)
        if not merge:
            assert [a.id for a in would.actions] == [a.id for a in report.actions]
        model, now = self.models[scope], self.clock.now()
        model.sweep(now)
        before = copy.deepcopy(model.entries)
        for action in report.actions:
            if action.kind == "prune":
                model.change(action.id, expires=now)
            elif action.kind in {"merge", "supersede"}:
                model.change(action.id, superseded=True)
        if taken_back and report.operation_id is not None:
            assert self.driver.call(scope, "undo", report.operation_id) >= 1
            model.entries = before

    @rule(step=st.sampled_from([1.0, 90.0, 7200.0, 86400.0 * 40]))
    def wait(self, step: float) -> None:
        """Time passes."""
        self.clock.advance(step)

    @rule(scope=scopes)
    def export_and_import(self, scope: str) -> None:
        """A namespace carried to another one is the same there."""
        stream = io.StringIO()
        self.driver.call(scope, "export_memories", stream)
        self.driver.call("elsewhere", "forget")
        self.driver.call("elsewhere", "import_memories", io.StringIO(stream.getvalue()))
        there = self.driver.call("elsewhere", "list_memories", limit=None, include_superseded=True)
        here = self.driver.call(scope, "list_memories", limit=None, include_superseded=True)
        assert [(e.id, e.content, e.memory_type) for e in there] == [(e.id, e.content, e.memory_type) for e in here]

    @rule(scope=scopes)
    def rebuild(self, scope: str) -> None:
        """A catalog made anew says the same."""
        self.driver.call(scope, "rebuild_catalog")

    @rule()
    def reopen(self) -> None:
        """Everything is there in another session."""
        self.driver.close()
        self.driver = self._opened()

    # --- always ------------------------------------------------------------------------------------------------

    @invariant()
    def the_same_as_the_model(self) -> None:
        """Ids, tiers, contents, metadata, history and numbers."""
        if not hasattr(self, "driver"):
            return
        type(self).steps += 1
        for scope, model in self.models.items():
            listed = self.driver.call(scope, "list_memories", limit=None, include_superseded=True)
            assert max(Counter(e.id for e in listed).values(), default=1) == 1
            told = {
                e.id: Kept(
                    e.content, e.memory_type.value, e.metadata, e.source, e.expires_at, e.superseded_by is not None
                )
                for e in listed
                if e.kind == "memory"
            }
            assert told == model.memories()
            assert {e.id for e in listed if e.kind == "message"} == model.entries.keys() - told.keys()
            if type(self).steps % STEPS_A_STATS == 0:
                assert self.driver.call(scope, "stats").total == len(listed)

    def teardown(self) -> None:
        """Catalog and Chroma agree in the end; the next program starts on a store as small as this one did."""
        if hasattr(self, "driver"):
            for scope in SCOPES:
                check_consistent(self.driver.sync.scoped(scope))
            for scope in (*SCOPES, "elsewhere"):
                self.driver.call(scope, "forget")
            self.driver.close()


def _kept(e: MemoryEntry) -> Kept:
    return Kept(e.content, e.memory_type.value, e.metadata, e.source, e.expires_at, e.superseded_by is not None)


LONG_RUN = int(os.environ.get("MACHINE_STEPS", "0"))
_PER_PROGRAM = 50


def _run(machine: type[MemoryMachine], share: int) -> None:
    examples = max(1, LONG_RUN // share // _PER_PROGRAM) if LONG_RUN else 6
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=_PER_PROGRAM if LONG_RUN else 20,
            deadline=None,
            derandomize=not LONG_RUN,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("face", ["sync", "async"])
def test_programs_on_an_embedded_store(tmp_path: Path, face: Face, capsys: pytest.CaptureFixture[str]) -> None:
    """Memory and model agree after every step."""
    machine = type("Embedded", (MemoryMachine,), _settings(lambda: {"path": tmp_path / "memory"}, face))
    _run(machine, 3)
    with capsys.disabled():
        print(f" {machine.steps} steps" if LONG_RUN else "", end="")


@pytest.mark.parametrize("face", ["sync", "async"])
def test_programs_on_a_server(tmp_path: Path, face: Face, capsys: pytest.CaptureFixture[str]) -> None:
    """The same on a real Chroma server, where the catalog is in memory."""
    with _Servers(tmp_path) as servers:
        machine = type("Server", (MemoryMachine,), _settings(servers.place, face))
        _run(machine, 6)
    with capsys.disabled():
        print(f" {machine.steps} steps" if LONG_RUN else "", end="")


def _settings(place: Callable[[], dict[str, Any]], face: Face) -> dict[str, Any]:
    return {"place": staticmethod(place), "face": face, "steps": 0}


class _Servers(ExitStack):
    """A Chroma server, another one for every few programs.

    It keeps the files of deleted collections open, some 60 a program (https://github.com/chroma-core/chroma/issues/3296).
    """

    _PROGRAMS = 15

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._programs = 0
        self._url = ""

    def place(self) -> dict[str, Any]:
        """Where the next program keeps its memory."""
        if self._programs % self._PROGRAMS == 0:
            self.close()
            self._url = self.enter_context(chroma_server(self._folder / str(self._programs)))
        self._programs += 1
        return {"url": self._url}
