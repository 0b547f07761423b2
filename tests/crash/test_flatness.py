"""The soak's look at memory and descriptors sees a leak and nothing else."""

from __future__ import annotations

import random

import pytest

from .flatness import Flatness, Usage


def _samples(*, leak_mb: float = 0, leak_descriptors: float = 0) -> list[Usage]:
    """A minute apart: a start-up, then noise and what leaks each minute."""
    chance = random.Random(1)
    return [
        Usage(60 * n, 200 - 80 / (n + 1) + chance.uniform(-2, 2) + leak_mb * n, int(20 + n % 3 + leak_descriptors * n))
        for n in range(30)
    ]


def test_noise_and_a_start_up_are_flat() -> None:
    """Growth while caches fill is not a leak, nor is going up and down."""
    Flatness.of(_samples()).check()


@pytest.mark.parametrize("leak", [{"leak_mb": 1.0}, {"leak_descriptors": 0.2}])
def test_a_leak_is_seen(leak: dict[str, float]) -> None:
    """A megabyte a minute, or a descriptor every five minutes."""
    with pytest.raises(AssertionError, match="grow"):
        Flatness.of(_samples(**leak)).check()


def test_usage_of_this_process() -> None:
    """It is read from the system."""
    usage = Usage.now(0)
    assert usage.rss_mb > 1
    assert usage.descriptors > 2
