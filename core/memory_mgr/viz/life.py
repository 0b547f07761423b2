"""How a memory changes over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from memory_mgr.display.palette import GREY, RED, TIER_COLOURS
from memory_mgr.types import MemoryEntry, MemoryType, Stats
from memory_mgr.viz.canvas import canvas, legend, needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_CHARS = 40


def tier_sizes(samples: Sequence[tuple[datetime, Stats]], *, ax: Axes | None = None) -> Axes:
    """Entries of each tier over time, stacked.

    Args:
        samples: (when, `stats()` at that time), oldest first; at least one.
        ax: Where to draw.

    Raises:
        InvalidInputError: There are no samples.
        MissingDependencyError: matplotlib is not installed.
    """
    needed(samples, "samples")
    ax = canvas(ax, title="Entries by tier")
    moments = cast("Any", [moment for moment, _ in samples])
    sizes = [[stats.counts.get(tier, 0) for _, stats in samples] for tier in MemoryType]
    names = [tier.value for tier in MemoryType]
    ax.stackplot(moments, sizes, labels=names, colors=[TIER_COLOURS[name] for name in names], step="post")
    ax.set_ylabel("entries")
    _dates(ax)
    legend(ax, reverse=True)
    return ax


def timeline(entries: Sequence[MemoryEntry], *, ax: Axes | None = None) -> Axes:
    """Every entry at its time, a row a tier; larger is more important, hollow is superseded.

    Args:
        entries: For example `list_memories(limit=None, include_superseded=True)`; at least one.
        ax: Where to draw.

    Raises:
        InvalidInputError: There are no entries.
        MissingDependencyError: matplotlib is not installed.
    """
    needed(entries, "entries")
    ax = canvas(ax, title="Timeline", height=2.6)
    tiers = list(MemoryType)
    for row, tier in enumerate(tiers):
        own = [entry for entry in entries if entry.memory_type is tier]
        colour = TIER_COLOURS[tier.value]
        ax.scatter(
            cast("Any", [entry.timestamp for entry in own]),
            [row] * len(own),
            s=[12 + 90 * entry.importance_score for entry in own],
            facecolors=["none" if entry.superseded_by else colour for entry in own],
            edgecolors=colour,
            alpha=0.8,
        )
    ax.set_yticks(range(len(tiers)), [tier.value for tier in tiers])
    ax.set_ylim(len(tiers) - 0.5, -0.5)
    _dates(ax)
    return ax


def supersessions(chains: Sequence[Sequence[MemoryEntry]], *, ax: Axes | None = None) -> Axes:
    """What was true and what replaced it, one row a chain.

    Args:
        chains: Results of `history(id)`; at least one.
        ax: Where to draw.

    Raises:
        InvalidInputError: There are no chains.
        MissingDependencyError: matplotlib is not installed.
    """
    needed(chains, "chains")
    ax = canvas(ax, title="What replaced what", height=0.9 + 0.8 * len(chains))
    for row, chain in enumerate(chains):
        moments = cast("Any", [entry.timestamp for entry in chain])
        ax.plot(moments, [row] * len(chain), color=GREY, linewidth=1, zorder=1)
        for entry in chain:
            current = entry.superseded_by is None
            ax.scatter(
                cast("Any", [entry.timestamp]),
                [row],
                s=60,
                zorder=2,
                facecolors=TIER_COLOURS[entry.memory_type.value] if current else "none",
                edgecolors=TIER_COLOURS[entry.memory_type.value] if current else RED,
            )
            ax.annotate(
                _short(entry.content),
                cast("Any", (entry.timestamp, row)),
                xytext=(0, 8),
                textcoords="offset points",
                fontsize=8,
                color=GREY,
                alpha=1.0 if current else 0.8,
            )
    ax.set_yticks([])
    ax.set_ylim(len(chains) - 0.5, -0.7)
    ax.margins(x=0.15)
    _dates(ax)
    return ax


def _short(text: str) -> str:
    line = " ".join(text.split()).replace("$", r"\$")
    return line if len(line) <= _LABEL_CHARS else line[: _LABEL_CHARS - 1] + "…"


def _dates(ax: Axes) -> None:
    from matplotlib import dates

    locator = dates.AutoDateLocator(maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    ax.xaxis.get_offset_text().set_color(GREY)
