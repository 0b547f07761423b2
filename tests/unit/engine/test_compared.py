"""Consolidation compares what is new with a few entries only, and finds what comparing it with all would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from memory_mgr import MemoryConfig, NewMemory, SyncMemoryManager
from memory_mgr.engine.plans import statement
from memory_mgr.engine.related import comparable
from memory_mgr.policy.supersession import SupersessionConfig, plan_supersessions
from memory_mgr.stores.statements import Statements
from memory_mgr.testing import FakeClock, FakeEmbedder
from memory_mgr.types import MemoryEntry, MemoryType

_START = datetime(2026, 1, 1, tzinfo=UTC)
_TEXTS = [
    "I live in Paris.",
    "I moved to Berlin.",
    "My sister lives in Rome.",
    "I eat meat on Sundays.",
    "I no longer eat meat.",
    "The meeting is on Monday.",
    "It's Tuesday, not Monday.",
    "My favourite colour is blue.",
    "My favourite colour is green now.",
    "Lovely weather today.",
]
_SAID = st.tuples(
    st.sampled_from(_TEXTS), st.integers(0, 36), st.sampled_from(["Ann", "Ann", "Ben"]), st.sampled_from("aab")
)


@settings(max_examples=150, deadline=None)
@example(
    [("The meeting is on Monday.", 1, "Ann", "a"), ("It's Tuesday, not Monday.", 1, "Ann", "a")],
    [("The meeting is on Monday.", 0, "Ann", "a")],
)
@given(st.lists(_SAID, max_size=8), st.lists(_SAID, min_size=1, max_size=4))
def test_what_is_not_compared_would_change_nothing(
    earlier: list[tuple[str, int, str, str]], later: list[tuple[str, int, str, str]]
) -> None:
    """Whatever was said before and in whatever order of time, the plans are those that all entries give."""
    config = MemoryConfig(path=":memory:", embedder=FakeEmbedder(), clock=FakeClock(_START + timedelta(days=30)))
    with SyncMemoryManager(config) as memory, memory._runtime.lease(memory.namespace) as repository:
        statements = repository.read(lambda catalog: Statements(catalog, MemoryType.LONG_TERM, memory._runtime.now()))
        plans = SupersessionConfig()
        known = _added(memory, earlier)
        comparable(statements, known, plans)
        new = _added(memory, later)
        near = comparable(statements, new, plans)
        changed = {entry.id for entry in new}
        some = [entry for entry in known if entry.id in near] + new
        assert _planned(some, changed) == _planned([*known, *new], changed)


def _added(memory: SyncMemoryManager, said: list[tuple[str, int, str, str]]) -> list[MemoryEntry]:
    news = [
        NewMemory(content=text, speaker=who, source=source, timestamp=_START + timedelta(hours=hour))
        for text, hour, who, source in said
    ]
    return memory.add_memories(news) if news else []


def _planned(entries: list[MemoryEntry], changed: set[str]) -> list[object]:
    return list(plan_supersessions([statement(entry) for entry in entries], changed=changed))


def test_what_is_compared_does_not_grow_with_the_namespace() -> None:
    """However often the same was said before, a new statement is compared with those around it."""
    config = MemoryConfig(path=":memory:", embedder=FakeEmbedder(), clock=FakeClock(_START + timedelta(days=300)))
    with SyncMemoryManager(config) as memory, memory._runtime.lease(memory.namespace) as repository:
        statements = repository.read(lambda catalog: Statements(catalog, MemoryType.LONG_TERM, memory._runtime.now()))
        said = [("I live in Paris." if n % 2 else "I live in Rome.", 24 * n, "Ann", "a") for n in range(200)]
        comparable(statements, _added(memory, said), SupersessionConfig())
        new = _added(memory, [("I live in Oslo.", 24 * 100, "Ann", "a")])
        near = comparable(statements, new, SupersessionConfig())
        assert len(near) < len(said)
        times = {entry.id: entry.timestamp for entry in statements.by_ids(near)}
        assert all(abs(moment - new[0].timestamp) <= timedelta(days=60) for moment in times.values())
