"""What is worth keeping, and what a budget is spent on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from memory_mgr.display.palette import GREEN, GREY, RED, SECTION_COLOURS
from memory_mgr.types import Context, MemoryEntry, UpkeepReport
from memory_mgr.viz.canvas import DAY_SECONDS, canvas, legend, needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def retention(entries: Sequence[MemoryEntry], report: UpkeepReport, now: datetime, *, ax: Axes | None = None) -> Axes:
    """Importance against age, and which entries pruning takes.

    Args:
        entries: The entries before pruning; at least one.
        report: What `prune(dry_run=True)` said.
        now: Ages are counted to this time.
        ax: Where to draw.

    Raises:
        InvalidInputError: There are no entries.
        MissingDependencyError: matplotlib is not installed.
    """
    needed(entries, "entries")
    ax = canvas(ax, title="What pruning takes", height=3.6)
    gone = {action.id for action in report.actions}
    for label, marker, colour, own in (
        ("kept", "o", GREEN, [entry for entry in entries if entry.id not in gone]),
        ("pruned", "x", RED, [entry for entry in entries if entry.id in gone]),
    ):
        ages = [(now - entry.timestamp).total_seconds() / DAY_SECONDS for entry in own]
        worth = [entry.importance_score for entry in own]
        ax.scatter(ages, worth, marker=marker, color=colour, s=28, alpha=0.7, label=f"{label} ({len(own)})")
    ax.set_xlabel("age in days")
    ax.set_ylabel("importance")
    ax.set_ylim(-0.03, 1.03)
    legend(ax)
    return ax


def token_budget(contexts: Sequence[Context] | Context, *, ax: Axes | None = None) -> Axes:
    """Tokens by section, one bar a context, against its budget.

    Args:
        contexts: One result of `build_context` or several.
        ax: Where to draw.

    Raises:
        InvalidInputError: There are no contexts.
        MissingDependencyError: matplotlib is not installed.
    """
    shown = [contexts] if isinstance(contexts, Context) else list(contexts)
    needed(shown, "contexts")
    ax = canvas(ax, title="Tokens by section", height=1.2 + 0.4 * len(shown))
    left = [0] * len(shown)
    for name, colour in SECTION_COLOURS.items():
        tokens = [context.sections.get(name, 0) for context in shown]
        ax.barh(range(len(shown)), tokens, left=left, color=colour, label=name)
        left = [start + width for start, width in zip(left, tokens, strict=True)]
    frame = [context.tokens - start for context, start in zip(shown, left, strict=True)]
    ax.barh(range(len(shown)), frame, left=left, color=GREY, label="frame")
    for row, context in enumerate(shown):
        ax.plot([context.budget_tokens] * 2, [row - 0.4, row + 0.4], color=RED, linewidth=2)
    ax.set_yticks(range(len(shown)), [str(number) for number in range(1, len(shown) + 1)])
    ax.invert_yaxis()
    ax.set_xlabel("tokens (red: the budget)")
    legend(ax)
    return ax
