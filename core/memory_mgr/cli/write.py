"""Writing: `add`, `supersede`, `forget`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import typer

from memory_mgr.cli.command import IdArgument, Result, YesOption, command, json_object
from memory_mgr.cli.output import memories
from memory_mgr.errors import InvalidInputError

if TYPE_CHECKING:
    from memory_mgr.engine.manager import SyncMemoryManager
    from memory_mgr.trust import Origin

TextArgument = Annotated[str, typer.Argument(help="The text; '-' reads it from standard input.")]
MetadataOption = Annotated[str | None, typer.Option("--metadata", "-m", help="JSON object to keep with it.")]


@command(writes=True, creates=True)
def add(
    memory: SyncMemoryManager,
    text: TextArgument,
    tier: Annotated[
        str, typer.Option("--tier", "-t", help="short_term, working, long_term or episodic.")
    ] = "long_term",
    source: Annotated[str | None, typer.Option("--source", help="The conversation or document it is from.")] = None,
    speaker: Annotated[str | None, typer.Option("--speaker", help="Who said it.")] = None,
    metadata: MetadataOption = None,
    importance: Annotated[float | None, typer.Option("--importance", help="In [0, 1]; default: found out.")] = None,
    when: Annotated[str | None, typer.Option("--when", help="Time it is about, ISO 8601; default: now.")] = None,
    ttl: Annotated[float | None, typer.Option("--ttl", help="Seconds until it expires.")] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Never prune it.")] = False,
    origin: Annotated[
        str | None, typer.Option("--origin", help="Who it comes from: user, assistant, document, tool, ...")
    ] = None,
    memory_id: Annotated[str | None, typer.Option("--id", help="Its id; default: a new one.")] = None,
) -> Result:
    """Remember something."""
    entry = memory.add_memory(
        _text(text),
        tier,
        json_object(metadata, "--metadata"),
        source=source,
        speaker=speaker,
        importance_score=importance,
        timestamp=_moment(when),
        ttl_seconds=ttl,
        pinned=pinned,
        id=memory_id,
        origin=cast("Origin | None", origin),
    )
    return Result(entry, f"{entry.memory_type.value} {entry.id} (importance {entry.importance_score:.2f})")


@command(writes=True)
def supersede(
    memory: SyncMemoryManager,
    memory_id: IdArgument,
    text: TextArgument,
    metadata: MetadataOption = None,
) -> Result:
    """Replace a memory by what is so now; the old one stays as its history."""
    entry = memory.supersede_memory(memory_id, _text(text), json_object(metadata, "--metadata"))
    return Result(entry, f"{entry.memory_type.value} {entry.id} supersedes {memory_id}")


@command(writes=True)
def forget(
    memory: SyncMemoryManager,
    memory_ids: Annotated[list[str] | None, typer.Argument(help="Ids of memories.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole namespace, all tiers.")] = False,
    yes: YesOption = False,
) -> Result:
    """Delete memories, or all of a namespace, for good. Namespaces below it are others and stay."""
    if bool(memory_ids) == everything:
        raise InvalidInputError("say what to forget: ids of memories, or --all for the whole namespace")
    name = "/".join(memory.namespace)
    if everything:
        _confirm(f"Delete {memories(memory.stats().total)} of {name} for good?", yes=yes)
        counts = {tier.value: count for tier, count in memory.forget().items()}
        return Result({"deleted": counts}, f"{memories(sum(counts.values()))} of {name} deleted")
    count = memory.delete_memories(memory_ids or [])
    return Result({"deleted": count}, f"{count} of {len(memory_ids or [])} deleted")


def _confirm(question: str, *, yes: bool) -> None:
    """Ask, unless told not to; without a terminal nobody could answer.

    Raises:
        InvalidInputError: Nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError(f"{question} Nobody can answer here: give --yes")
    typer.confirm(question, abort=True)


def _text(text: str) -> str:
    return sys.stdin.read().strip() if text == "-" else text


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"--when is not a time: {error}; like 2026-05-04T18:30:00+02:00") from error
