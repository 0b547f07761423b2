"""What is printed: entries as tables and JSON; remembered text is shown as it is, never as markup or terminal codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from memory_mgr.types import MemoryEntry, UpkeepReport

console = Console(highlight=False)
_CONTROLS = dict.fromkeys((*range(9), *range(11, 32), 127, *range(128, 160)), 65533)
"""C0 and C1 controls but tab and line feed: in a terminal they move the cursor, set titles, and worse."""
_SHOWN_CHARS = 300


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON, one document."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=indent, default=_plain)
    sys.stdout.write("\n")


def print_view(view: Any) -> None:
    """Print for people."""
    console.print(safe(view) if isinstance(view, str) else view, soft_wrap=isinstance(view, str | Text))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {name: field for name, field in asdict(value).items() if field not in (None, {}, (), [])}
    return str(value)


def safe(text: str, style: str = "") -> Text:
    """Remembered text for a terminal."""
    return Text(text.translate(_CONTROLS), style)


def said(entry: MemoryEntry, length: int = _SHOWN_CHARS) -> str:
    """What an entry says and who said it, cut to `length` characters."""
    text = f"{entry.speaker}: {entry.content}" if entry.speaker else entry.content
    return text if len(text) <= length else text[: length - 1] + "…"


def entries_table(entries: Sequence[MemoryEntry], title: str, *, explain: bool = False) -> Table:
    """Entries as a table: what they say, and below it what they are."""
    scored = any(entry.score is not None for entry in entries)
    table = Table(*(["score"] if scored else []), "memory", title=title, title_justify="left", show_header=False)
    for entry in entries:
        text = safe(said(entry), "strike" if entry.superseded_by else "")
        when, weight = f"{entry.timestamp:%Y-%m-%d %H:%M}", f"importance {entry.importance_score:.2f}"
        hidden = "superseded" if entry.superseded_by else None
        odd = "SUSPICIOUS" if entry.suspicious else None
        facts = [entry.memory_type.value, when, weight, f"from {entry.origin}", odd, hidden, entry.source, entry.id]
        lines = [text, safe(" · ".join(fact for fact in facts if fact), "dim")]
        if explain and entry.score_parts:
            parts = sorted(entry.score_parts.items(), key=lambda part: -part[1])
            lines.append(Text(" + ".join(f"{name} {value:.2f}" for name, value in parts), "cyan"))
        score = [f"{entry.score:.2f}" if entry.score is not None else ""] if scored else []
        table.add_row(*score, Group(*lines))
    return table


def upkeep_view(report: UpkeepReport) -> Group:
    """What pruning or consolidation did or would do."""
    table = Table("what", "entry", "why", "stands for it now")
    for action in report.actions:
        table.add_row(action.kind, safe(action.id), safe(action.why), safe(action.other or ""))
    would = "would be " if report.dry_run else ""
    lines = [f"{len(report.actions)} {would}changed; {report.deleted} {would}deleted whose time was long up."]
    lines += [f"failed: {error}" for error in report.errors]
    if not report.complete:
        lines.append("Not finished: run it again to go on.")
    if report.operation_id is not None and not report.dry_run:
        lines.append(f"Take it back: memory-mgr undo {report.operation_id}")
    return Group(*([table] if report.actions else []), safe("\n".join(lines)))


def memories(count: int) -> str:
    """So many of them, as one says it."""
    return "1 memory" if count == 1 else f"{count:,} memories"
