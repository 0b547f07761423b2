"""HTML for notebooks. Everything remembered is escaped; colours suit light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import singledispatch
from html import escape
from importlib import resources

from memory_mgr.display.palette import SECTION_COLOURS, TIER_COLOURS, part_colour
from memory_mgr.types import Context, Entries, MemoryEntry, MemoryType, Stats, UpkeepReport

MOST_ROWS = 50
"""Rows shown of a list; the rest is counted."""
_SHOWN_CHARS = 600


@singledispatch
def html_of(value: object) -> str:
    """HTML of a value that a memory returns."""
    return f"<pre>{escape(repr(value))}</pre>"


@html_of.register
def _entry(entry: MemoryEntry) -> str:
    """A card: tier, text, where it came from, and the parts of its score if they are known."""
    return _page(f'<div class="mm-card">{_body(entry)}</div>')


@html_of.register
def _entries(entries: Entries) -> str:
    """Cards in their order, best first for hits."""
    if not entries:
        return _page('<div class="mm-quiet">no memories</div>')
    cards = "".join(f'<div class="mm-card">{_body(entry)}</div>' for entry in entries[:MOST_ROWS])
    rest = len(entries) - MOST_ROWS
    return _page(cards + (f'<div class="mm-quiet">and {rest} more</div>' if rest > 0 else ""))


@html_of.register
def _context(context: Context) -> str:
    """The budget as a bar by section, then the text as a model reads it."""
    free = max(0, context.budget_tokens - context.tokens)
    bar = _bar([*context.sections.items(), ("free", free)], SECTION_COLOURS, unit="tokens")
    head = f"<b>{context.tokens}</b> of {context.budget_tokens} tokens, {len(context.entries)} entries"
    return _page(f'<div class="mm-card"><div>{head}</div>{bar}<pre>{escape(context.text)}</pre></div>')


@html_of.register
def _stats(stats: Stats) -> str:
    """Entries by tier as a bar and a table."""
    counts = [(tier.value, stats.counts.get(tier, 0)) for tier in MemoryType]
    rows = [*counts, ("superseded", stats.superseded), ("expired", stats.expired)]
    table = "".join(_row(name, f"{number:,}") for name, number in rows)
    size = "" if stats.bytes_on_disk is None else f", {stats.bytes_on_disk / 2**20:.1f} MiB on disk"
    head = f"<b>{escape('/'.join(stats.namespace))}</b>: {stats.total:,} entries{size}"
    foot = f"{escape(stats.embedder)}, {stats.dimensions} dimensions"
    bar = _bar(counts, TIER_COLOURS, unit="entries")
    return _page(
        f'<div class="mm-card"><div>{head}</div>{bar}<table>{table}</table><div class="mm-quiet">{foot}</div></div>'
    )


@html_of.register
def _report(report: UpkeepReport) -> str:
    """What upkeep did, one row an action."""
    what = "would change" if report.dry_run else "changed"
    head = f"{len(report.actions)} entries {what}, {report.deleted} deleted for good"
    rows = "".join(_row(a.kind, a.id, a.why, a.other or "") for a in report.actions[:MOST_ROWS])
    return _page(f'<div class="mm-card"><div>{head}</div><table>{rows}</table></div>')


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _page(inner: str) -> str:
    style = resources.files("memory_mgr.display").joinpath("notebook.css").read_text("utf-8")
    return f'<div class="memory-mgr"><style>{style}</style>{inner}</div>'


def _body(entry: MemoryEntry) -> str:
    facts = [entry.timestamp.strftime("%Y-%m-%d %H:%M"), f"importance {entry.importance_score:.2f}"]
    facts += [f"source {entry.source}"] if entry.source else []
    facts += [f"superseded by {entry.superseded_by}"] if entry.superseded_by else []
    score = "" if entry.score is None else f'<span class="mm-score">{entry.score:.3f}</span>'
    colour = TIER_COLOURS[entry.memory_type.value]
    tier = f'<span class="mm-tier" style="border-color:{colour}">{entry.memory_type.value}</span>'
    said = f"<b>{escape(entry.speaker)}:</b> " if entry.speaker else ""
    return (
        f'<div class="mm-head">{tier}{score}</div><div class="mm-text">{said}{_text(entry)}</div>'
        f'<div class="mm-quiet">{escape(" · ".join(facts))}</div>{_parts(entry.score_parts)}'
    )


def _text(entry: MemoryEntry) -> str:
    """The content, the passage that was found marked, long texts cut."""
    if entry.passage is None:
        cut = entry.content[:_SHOWN_CHARS]
        return escape(cut) + ("…" if len(entry.content) > _SHOWN_CHARS else "")
    start, end = entry.passage
    before, after = ("… " if start else ""), (" …" if end < len(entry.content) else "")
    return f"{before}<mark>{escape(entry.content[start:end])}</mark>{after}"


def _parts(explain: Mapping[str, float]) -> str:
    if not explain:
        return ""
    parts = sorted(((name, value) for name, value in explain.items() if value > 0), key=lambda part: -part[1])
    return _bar(parts, {name: part_colour(name) for name, _ in parts})


def _bar(parts: Iterable[tuple[str, float]], colours: Mapping[str, str], unit: str = "") -> str:
    shown = [(name, value) for name, value in parts if value > 0]
    whole = sum(value for _, value in shown) or 1
    pieces = "".join(
        f'<div style="width:{100 * value / whole:.2f}%;background:{colours.get(name, "transparent")}"'
        f' title="{escape(name)} {value:.4g}"></div>'
        for name, value in shown
    )
    legend = "".join(
        f'<span><i style="background:{colours.get(name, "transparent")}"></i>{escape(name)} {value:.3g}</span>'
        for name, value in shown
    )
    bar = f'<div class="mm-bar" role="img" aria-label="{escape(unit)}">{pieces}</div>'
    return f'{bar}<div class="mm-legend">{legend}</div>'
