"""The commands and what they share: where memory is, how results and errors are printed.

Exit codes: 0 done, 1 it failed (store, embedder), 2 the call was wrong (usage, input, configuration).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.errors import ConfigurationError, InvalidInputError, MemoryMgrError
from memory_mgr.types import MemoryEntry

app = typer.Typer(
    name="memory-mgr",
    help="Tiered memory for LLM applications: store, search, look inside.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()

PathOption = Annotated[Path | None, typer.Option("--path", help="Folder of an embedded store.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="Chroma server, http://host:port.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Labels joined by '/'.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
BudgetOption = Annotated[int, typer.Option("--budget", help="Tokens of a context.")]
LimitOption = Annotated[int, typer.Option("--limit", "-k", help="Results at most.")]


def settings(path: Path | None, url: str | None, namespace: str, **more: Any) -> MemoryConfig:
    """The configuration that the common options name."""
    return MemoryConfig(path=path, url=url, namespace=tuple(namespace.split("/")), **more)


@contextmanager
def opened(config: MemoryConfig) -> Iterator[SyncMemoryManager]:
    """A memory, closed when done."""
    with SyncMemoryManager(config) as memory:
        yield memory


def print_json(value: Any) -> None:
    """Print a value as JSON, one document."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, MemoryEntry):
        return entry_json(value)
    return str(value)


def entry_json(entry: MemoryEntry) -> dict[str, Any]:
    """An entry as a JSON object, without what is empty."""
    return {name: value for name, value in asdict(entry).items() if value not in (None, {}, (), [])}


def run() -> None:
    """Run the command line; errors are one line, with the fix."""
    from memory_mgr.cli import demo, doctor, look, migrate, replay  # noqa: F401  (they register their commands)

    try:
        app(standalone_mode=True)
    except (ConfigurationError, InvalidInputError) as error:
        sys.exit(_failed(error, 2))
    except MemoryMgrError as error:
        sys.exit(_failed(error, 1))


def _failed(error: MemoryMgrError, code: int) -> int:
    print(f"memory-mgr: {error}", file=sys.stderr)
    return code
