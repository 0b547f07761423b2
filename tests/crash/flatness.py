"""Whether the memory and the file descriptors of a process stay as they are."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

WARM_UP = 1 / 3
"""Of the samples, not looked at: caches and pools fill."""
RSS_GROWTH = 0.05
"""Of the resident memory, at most, from the end of the warm-up to the end."""
DESCRIPTOR_GROWTH = 2.0


@dataclass(frozen=True)
class Usage:
    """Of this process at one moment."""

    second: float
    rss_mb: float
    descriptors: int

    @classmethod
    def now(cls, second: float) -> Usage:
        """What Linux says of this process."""
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        return cls(round(second), round(resident / 2**20, 1), len(os.listdir("/proc/self/fd")))


@dataclass(frozen=True)
class Flatness:
    """How usage grows after the warm-up, by the line that fits the samples best (least squares)."""

    samples: int
    rss_mb: float
    rss_mb_growth: float
    rss_mb_an_hour: float
    descriptors: float
    descriptors_growth: float

    @classmethod
    def of(cls, usage: Sequence[Usage]) -> Flatness:
        """Of samples in order of time; at least six."""
        looked_at = list(usage[round(len(usage) * WARM_UP) :])
        if len(looked_at) < 4:
            raise ValueError(f"{len(usage)} samples are too few to say whether usage is flat: run longer")
        seconds = np.array([u.second for u in looked_at])
        length = float(seconds[-1] - seconds[0])
        rss, descriptors = (
            np.polyfit(seconds, [getattr(u, name) for u in looked_at], 1)[0] for name in ("rss_mb", "descriptors")
        )
        return cls(
            samples=len(looked_at),
            rss_mb=round(float(np.median([u.rss_mb for u in looked_at])), 1),
            rss_mb_growth=round(float(rss) * length, 1),
            rss_mb_an_hour=round(float(rss) * 3600, 1),
            descriptors=float(np.median([u.descriptors for u in looked_at])),
            descriptors_growth=round(float(descriptors) * length, 2),
        )

    def check(self) -> None:
        """Raise AssertionError if something grew."""
        assert self.rss_mb_growth <= RSS_GROWTH * self.rss_mb, f"resident memory grows: {asdict(self)}"
        assert self.descriptors_growth <= DESCRIPTOR_GROWTH, f"file descriptors grow: {asdict(self)}"
