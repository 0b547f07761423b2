"""The same values for a terminal, as rich renderables. Remembered text is shown as text, never read as markup."""

from __future__ import annotations

from functools import singledispatch

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from memory_mgr.display.palette import SECTION_COLOURS, TIER_COLOURS
from memory_mgr.types import Context, Entries, MemoryEntry, MemoryType, Stats, UpkeepReport

_BAR_CELLS = 60


@singledispatch
def rich_of(value: object) -> RenderableType:
    """A renderable of a value that a memory returns."""
    return Text(repr(value))


@rich_of.register
def _entry(entry: MemoryEntry) -> RenderableType:
    """One entry in a frame."""
    title = Text(entry.memory_type.value, style=TIER_COLOURS[entry.memory_type.value])
    if entry.score is not None:
        title.append(f"  {entry.score:.3f}", style="bold")
    return Panel(_told(entry), title=title, title_align="left", subtitle=Text(_facts(entry)), subtitle_align="left")


@rich_of.register
def _entries(entries: Entries) -> RenderableType:
    """Entries as a table, in their order."""
    table = Table(box=None, pad_edge=False)
    for heading in ("score", "tier", "time", "text"):
        table.add_column(heading, justify="right" if heading == "score" else "left", no_wrap=heading != "text")
    for entry in entries:
        score = "" if entry.score is None else f"{entry.score:.3f}"
        tier = Text(entry.memory_type.value, style=TIER_COLOURS[entry.memory_type.value])
        table.add_row(score, tier, entry.timestamp.strftime("%Y-%m-%d %H:%M"), _told(entry))
    return table


@rich_of.register
def _context(context: Context) -> RenderableType:
    """The budget as a bar, then the text."""
    bar = Text()
    for name, tokens in context.sections.items():
        cells = round(_BAR_CELLS * tokens / max(1, context.budget_tokens))
        bar.append("█" * cells, style=SECTION_COLOURS.get(name, ""))
    told = "  ".join(f"{name} {tokens}" for name, tokens in context.sections.items())
    title = f"{context.tokens} of {context.budget_tokens} tokens"
    return Panel(Group(bar, Text(told, style="dim"), Text(context.text)), title=title, title_align="left")


@rich_of.register
def _stats(stats: Stats) -> RenderableType:
    """Entries by tier."""
    table = Table(title="/".join(stats.namespace), title_justify="left", box=None, pad_edge=False)
    table.add_column("tier")
    table.add_column("entries", justify="right")
    for tier in MemoryType:
        table.add_row(Text(tier.value, style=TIER_COLOURS[tier.value]), f"{stats.counts.get(tier, 0):,}")
    table.add_row("superseded", f"{stats.superseded:,}")
    table.add_row("expired", f"{stats.expired:,}")
    return table


@rich_of.register
def _report(report: UpkeepReport) -> RenderableType:
    """What upkeep did, one row an action."""
    table = Table(title="would change" if report.dry_run else "changed", title_justify="left", box=None, pad_edge=False)
    for heading in ("what", "id", "why", "now"):
        table.add_column(heading)
    for action in report.actions:
        table.add_row(action.kind, Text(action.id), Text(action.why), Text(action.other or ""))
    return table


def _told(entry: MemoryEntry) -> Text:
    text = Text()
    if entry.speaker:
        text.append(f"{entry.speaker}: ", style="bold")
    return text.append(entry.content)


def _facts(entry: MemoryEntry) -> str:
    source = f" · source {entry.source}" if entry.source else ""
    return f"{entry.timestamp:%Y-%m-%d %H:%M} · importance {entry.importance_score:.2f}{source}"
