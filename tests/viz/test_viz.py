"""Plots show the numbers they are given."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from memory_mgr import InvalidInputError, Message, NewMemory, SyncMemoryManager, viz
from memory_mgr.testing import FakeClock
from memory_mgr.viz.maps import k_means

mpl.use("Agg")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def filled(memory: SyncMemoryManager) -> SyncMemoryManager:
    """Ten facts over ten days, one of them replaced."""
    facts = [
        NewMemory(content=f"The {n}th dog is called Rex{n}", id=f"f{n}", timestamp=START + timedelta(days=n))
        for n in range(10)
    ]
    memory.add_memories(facts)
    memory.supersede_memory("f3", "The 3rd dog is called Bello", timestamp=START + timedelta(days=12))
    return memory


def test_tier_sizes_end_at_what_the_tiers_hold(filled: SyncMemoryManager, clock: FakeClock) -> None:
    """The stack's top is the number of entries."""
    first = filled.stats()
    filled.add_memories([f"note {n}" for n in range(5)], "working")
    ax = viz.tier_sizes([(START, first), (START + timedelta(days=1), filled.stats())])
    assert ax.dataLim.ymax == pytest.approx(16)
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "short_term"


def test_the_timeline_has_a_mark_for_every_entry(filled: SyncMemoryManager) -> None:
    """In the row of its tier."""
    entries = filled.list_memories(limit=None, include_superseded=True)
    ax = viz.timeline(entries)
    marks = [len(collection.get_offsets()) for collection in ax.collections]
    assert marks == [0, 0, 11, 0]


def test_retention_marks_what_pruning_takes(filled: SyncMemoryManager, clock: FakeClock) -> None:
    """As many crosses as actions."""
    entries = filled.list_memories(limit=None, include_superseded=True)
    report = filled.prune(quota=4, dry_run=True)
    ax = viz.retention(entries, report, clock.now())
    kept, pruned = (len(collection.get_offsets()) for collection in ax.collections)
    assert (kept, pruned) == (len(entries) - len(report.actions), len(report.actions))
    assert pruned >= 6


def test_the_token_bars_add_up(filled: SyncMemoryManager) -> None:
    """Sections and frame end at the context's tokens; the red line is the budget."""
    chat = filled.conversation("c")
    chat.add_message(Message(role="user", content="What are the dogs called?"))
    context = filled.build_context("dogs", 200, "c")
    ax = viz.token_budget(context)
    assert max(bar.get_x() + bar.get_width() for bar in ax.patches) == context.tokens  # type: ignore[attr-defined]
    assert [float(line.get_xdata()[0]) for line in ax.lines] == [200.0]  # type: ignore[index,arg-type]


def test_chains_of_supersession_are_drawn_in_order(filled: SyncMemoryManager) -> None:
    """Each step with its text; the current one filled."""
    ax = viz.supersessions([filled.history("f3")])
    assert [text.get_text() for text in ax.texts] == ["The 3th dog is called Rex3", "The 3rd dog is called Bello"]


def test_the_map_has_a_point_for_every_entry(filled: SyncMemoryManager) -> None:
    """In as many clusters as asked for, each with a name."""
    entries = filled.list_memories(limit=None, with_embeddings=True)
    ax = viz.embedding_map(entries, clusters=3)
    assert sum(len(collection.get_offsets()) for collection in ax.collections) == len(entries)
    assert len(ax.texts) == 3


def test_clusters_are_found() -> None:
    """Three clouds, three clusters."""
    noise = np.random.default_rng(5).normal(0, 0.05, (60, 4)).astype(np.float32)
    clouds = np.repeat(np.eye(4, dtype=np.float32)[:3], 20, axis=0)
    groups = k_means(clouds + noise, 3)
    assert [len(set(groups[start : start + 20])) for start in (0, 20, 40)] == [1, 1, 1]
    assert len(set(groups)) == 3


def test_drawing_nothing_is_refused() -> None:
    """With an error that says what is missing."""
    for draw in (viz.timeline, viz.tier_sizes, viz.supersessions, viz.token_budget, viz.embedding_map):
        with pytest.raises(InvalidInputError, match="to draw"):
            draw([])
