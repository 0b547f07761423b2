"""`replay`: take a transcript in, message by message, and say how it went."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_mgr.bars import progress_bar
from memory_mgr.cli.app import app
from memory_mgr.cli.command import ConfigOption, JsonOption, NamespaceOption, PathOption, Place, UrlOption
from memory_mgr.cli.output import console, print_json

if TYPE_CHECKING:
    from memory_mgr.cli.transcripts import Transcript
    from memory_mgr.engine.manager import SyncMemoryManager
    from memory_mgr.types import MemoryEntry

_TOP_K = 10


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="JSONL of messages, or LoCoMo's JSON.")],
    path: PathOption = None,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a transcript in; print tiers, rates and, for LoCoMo, recall. Kept only with --path, --url or --config."""
    from memory_mgr.cli.transcripts import read_transcripts
    from memory_mgr.engine.manager import SyncMemoryManager

    transcripts = read_transcripts(file)
    with ExitStack() as stack:
        if path is None and url is None and config is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-mgr-replay-")))
        settings = Place(path, url, namespace or "replay", config).settings()
        memory = stack.enter_context(SyncMemoryManager(settings))
        report = [_replayed(memory.scoped(t.name), t) for t in transcripts]
    if as_json:
        print_json(report)
        return
    for one in report:
        tiers = ", ".join(f"{tier} {count}" for tier, count in one["tiers"].items())
        console.print(f"{one['conversation']}: {one['messages']} messages, {one['per_second']:.0f}/s; {tiers}")
        if "recall" in one:
            console.print(f"  recall@{_TOP_K} {one['recall']:.3f} over {one['questions']} questions")


def _replayed(memory: SyncMemoryManager, transcript: Transcript) -> dict[str, Any]:
    started = time.perf_counter()
    with progress_bar(f"Replaying {transcript.name}") as told:
        for number, (session, message) in enumerate(transcript.turns, 1):
            memory.conversation(session).add_message(message)
            told(number, len(transcript.turns))
    seconds = time.perf_counter() - started
    report: dict[str, Any] = {
        "conversation": transcript.name,
        "messages": len(transcript.turns),
        "per_second": len(transcript.turns) / max(seconds, 1e-9),
        "tiers": {tier.value: count for tier, count in memory.stats().counts.items()},
    }
    if transcript.questions:
        shares = [_share(memory, q.text, q.evidence) for q in transcript.questions]
        report |= {"questions": len(shares), "recall": sum(shares) / len(shares)}
    return report


def _share(memory: SyncMemoryManager, question: str, evidence: tuple[str, ...]) -> float:
    """The share of the evidence among the first results."""
    hits = memory.search_memory(question, ["long_term", "short_term"], _TOP_K)
    found = {_turn_id(hit) for hit in hits}
    return sum(turn in found for turn in evidence) / len(evidence)


def _turn_id(hit: MemoryEntry) -> str:
    return str(hit.details.get("message_id"))
