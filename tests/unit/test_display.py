"""How values look in notebooks and terminals."""

from __future__ import annotations

from html.parser import HTMLParser
from io import StringIO

from rich.console import Console

from memory_mgr import SyncMemoryManager

ATTACK = "<script>alert(1)</script><img src=x onerror=y> [bold]not markup[/bold] [link=x]"


class Tags(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def _values(memory: SyncMemoryManager) -> list[object]:
    entry = memory.add_memory(ATTACK, source=ATTACK, speaker=ATTACK, id=ATTACK)
    hits = memory.search_memory("alert script", explain=True)
    context = memory.build_context("alert script", 300)
    return [entry, hits, context, memory.stats(), memory.prune(quota=0, dry_run=True)]


def test_remembered_text_is_never_markup_in_a_notebook(memory: SyncMemoryManager) -> None:
    """It is shown as it is, and adds no element to the page."""
    for value in _values(memory):
        page = Tags(value._repr_html_())  # type: ignore[attr-defined]
        assert page.tags <= {"div", "style", "span", "b", "i", "pre", "table", "tr", "td", "mark"}
    assert ATTACK in Tags(memory.search_memory("alert")._repr_html_()).text  # type: ignore[attr-defined]


def test_remembered_text_is_never_markup_in_a_terminal(memory: SyncMemoryManager) -> None:
    """Brackets come out as they went in."""
    values = _values(memory)
    console = Console(width=400, record=True, file=StringIO())
    for value in values[:3]:
        console.print(value)
    assert console.export_text().count("[bold]not markup[/bold]") >= 3


def test_a_hit_shows_the_parts_of_its_score(memory: SyncMemoryManager) -> None:
    """Named, with their shares."""
    memory.add_memory("The ferry leaves at nine")
    hits = memory.search_memory("when does the ferry leave", explain=True)
    text = Tags(hits._repr_html_()).text  # type: ignore[attr-defined]
    assert f"{hits[0].score:.3f}" in text
    assert all(name in text for name, share in hits[0].score_parts.items() if share > 0)


def test_an_empty_list_says_so(memory: SyncMemoryManager) -> None:
    """Rather than showing nothing."""
    assert "no memories" in memory.search_memory("anything")._repr_html_()  # type: ignore[attr-defined]
