"""The soak's look at memory and descriptors sees a leak and nothing else."""

from __future__ import annotations

import random

import pytest

from memory_mgr import SyncMemoryManager

from .caches import fill_caches
from .flatness import Flatness, Usage
from .home import settings


def _samples(
    *, leak_mb: float = 0, unused_mb: float = 0, leak_blocks: float = 0, leak_descriptors: float = 0
) -> list[Usage]:
    """A minute apart: a start-up, entries that come and go, with the memory they take, noise, and what grows."""
    chance = random.Random(1)
    samples = []
    for n in range(30):
        entries = 200 * (1 + n % 9)
        allocated = 50 + 0.003 * entries + chance.uniform(-0.5, 0.5) + leak_mb * n
        rss = 150 - 80 / (n + 1) ** 2 + allocated + chance.uniform(-1, 1) + unused_mb * n
        blocks = 800_000 + 40 * entries + chance.randint(-2_000, 2_000) + leak_blocks * n
        samples.append(Usage(60 * n, entries, rss, allocated, round(blocks), int(20 + n % 3 + leak_descriptors * n)))
    return samples


def test_noise_a_start_up_and_entries_are_flat() -> None:
    """Not a leak: growth while pools fill, a little that the allocator keeps, up and down with the entries kept."""
    flatness = Flatness.of(_samples(unused_mb=0.3))
    flatness.check()
    assert flatness.allocated_kb_an_entry == pytest.approx(0.003 * 1024, rel=0.1)


@pytest.mark.parametrize(
    "leak", [{"leak_mb": 0.1}, {"unused_mb": 1.0}, {"leak_blocks": 400}, {"leak_descriptors": 0.2}]
)
def test_a_leak_is_seen(leak: dict[str, float]) -> None:
    """A tenth of a megabyte a minute, one that the allocator keeps, 400 objects, a descriptor every five minutes."""
    with pytest.raises(AssertionError, match="grow"):
        Flatness.of(_samples(**leak)).check()


def test_usage_of_this_process() -> None:
    """It is read from the system."""
    usage = Usage.now(0, entries=7)
    assert 0 < usage.allocated_mb < usage.rss_mb
    assert usage.blocks > 1000
    assert usage.descriptors > 2


def test_caches_are_filled() -> None:
    """Those of texts, of words and of a memory's own token counter, each to its limit."""
    with SyncMemoryManager(settings(path=":memory:")) as memory:
        memory.add_memory("Ana saw Oslo")
        filled = fill_caches()
    assert {"memory_mgr.policy.claims.claims", "memory_mgr.defaults.tokens.TiktokenCounter._count"} <= filled.keys()
    assert min(filled.values()) >= 1000
