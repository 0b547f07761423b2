"""`demo`: three conversations go in message by message, the four tiers fill, five questions are answered from them."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.panel import Panel

from memory_mgr.bars import progress_bar
from memory_mgr.cli.app import app
from memory_mgr.cli.command import BudgetOption, JsonOption, PathOption
from memory_mgr.cli.output import console, entries_table, print_json, safe

if TYPE_CHECKING:
    from memory_mgr.cli.transcripts import Transcript
    from memory_mgr.engine.manager import SyncMemoryManager
    from memory_mgr.types import Context

WINDOW = 8
"""Messages kept verbatim in the demo: few, so that one sees what happens to the others."""


@app.command()
def demo(
    path: PathOption = None,
    budget: BudgetOption = 400,
    shown: Annotated[int, typer.Option("--shown", help="Entries shown of each tier.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Play a sample conversation and ask about it: offline, no model, no key."""
    from memory_mgr.config import MemoryConfig, ShortTermConfig
    from memory_mgr.engine.manager import SyncMemoryManager

    with ExitStack() as stack:
        folder = path or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-mgr-demo-")))
        config = MemoryConfig(path=folder, namespace="demo", short_term=ShortTermConfig(max_messages=WINDOW))
        memory = stack.enter_context(SyncMemoryManager(config))
        started = time.perf_counter()
        conversations = _play(memory)
        contexts = [(q, memory.build_context(q, budget)) for q in _questions()]
        seconds = time.perf_counter() - started
        if as_json:
            print_json(_report(memory, contexts, seconds))
        else:
            _show_tiers(memory, shown)
            _show_answers(contexts)
            said = sum(len(c.turns) for c in conversations)
            console.print(f"{said} messages and {len(contexts)} questions in {seconds:.1f} s, kept in {folder}")


def _play(memory: SyncMemoryManager) -> list[Transcript]:
    from memory_mgr.cli.transcripts import read_transcripts

    with resources.as_file(resources.files("memory_mgr.cli") / "data/demo.jsonl") as file:
        conversations = read_transcripts(file)
    turns = [turn for conversation in conversations for turn in conversation.turns]
    with progress_bar("Playing three conversations") as told:
        for number, (name, message) in enumerate(turns, 1):
            memory.conversation(name).add_message(message)
            told(number, len(turns))
    task = memory.conversation(conversations[-1].name).working
    task.set("guest", "Tiago, 6 June")
    task.add_note("Noor wants bullet points.")
    return conversations


def _questions() -> list[str]:
    text = (resources.files("memory_mgr.cli") / "data/questions.txt").read_text("utf-8")
    return text.splitlines()


def _show_tiers(memory: SyncMemoryManager, shown: int) -> None:
    for tier, count in memory.stats().counts.items():
        entries = memory.list_memories(tier, limit=shown, newest_first=True)[::-1]
        console.print(entries_table(entries, f"{tier.value}: {count} entries, the last {len(entries)}"))


def _show_answers(contexts: list[tuple[str, Context]]) -> None:
    for question, context in contexts:
        title = f"{question}  [dim]{context.tokens} of {context.budget_tokens} tokens[/dim]"
        console.print(Panel(safe(context.text), title=title, title_align="left"))


def _report(memory: SyncMemoryManager, contexts: list[tuple[str, Context]], seconds: float) -> dict[str, Any]:
    return {
        "tiers": {tier.value: count for tier, count in memory.stats().counts.items()},
        "answers": [
            {"question": question, "context": context.text, "tokens": context.tokens, "budget": context.budget_tokens}
            for question, context in contexts
        ],
        "seconds": round(seconds, 2),
    }
