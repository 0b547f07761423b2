"""The soak's look at memory and descriptors sees a leak and nothing else."""

from __future__ import annotations

import random

import pytest

from memory_mgr import SyncMemoryManager

from .caches import fill_caches
from .flatness import Flatness, Usage
from .home import settings


def _samples(*, leak_mb: float = 0, leak_blocks: float = 0, leak_descriptors: float = 0) -> list[Usage]:
    """A minute apart: a start-up, entries that come and go, with the memory they take, noise, and what leaks each."""
    chance = random.Random(1)
    samples = []
    for n in range(30):
        entries = 200 * (1 + n % 9)
        rss = 200 - 80 / (n + 1) ** 2 + 0.02 * entries + chance.uniform(-1, 1) + leak_mb * n
        blocks = 800_000 + 40 * entries + chance.randint(-2_000, 2_000) + leak_blocks * n
        samples.append(Usage(60 * n, entries, rss, round(blocks), int(20 + n % 3 + leak_descriptors * n)))
    return samples


def test_noise_a_start_up_and_entries_are_flat() -> None:
    """Growth while pools fill is not a leak, nor is going up and down with the entries that are kept."""
    flatness = Flatness.of(_samples())
    flatness.check()
    assert flatness.rss_kb_an_entry == pytest.approx(0.02 * 1024, rel=0.1)


@pytest.mark.parametrize("leak", [{"leak_mb": 0.4}, {"leak_blocks": 600}, {"leak_descriptors": 0.2}])
def test_a_leak_is_seen(leak: dict[str, float]) -> None:
    """Two fifths of a megabyte a minute, six hundred objects, or a descriptor every five minutes."""
    with pytest.raises(AssertionError, match="grow"):
        Flatness.of(_samples(**leak)).check()


def test_usage_of_this_process() -> None:
    """It is read from the system."""
    usage = Usage.now(0, entries=7)
    assert usage.rss_mb > 1
    assert usage.blocks > 1000
    assert usage.descriptors > 2


def test_caches_are_filled() -> None:
    """Those of texts, of words and of a memory's own token counter, each to its limit."""
    with SyncMemoryManager(settings(path=":memory:")) as memory:
        memory.add_memory("Ana saw Oslo")
        filled = fill_caches()
        again = fill_caches()
    assert filled == again
    assert {"memory_mgr.policy.claims.claims", "memory_mgr.defaults.tokens.TiktokenCounter._count"} <= filled.keys()
    assert min(filled.values()) >= 1000
