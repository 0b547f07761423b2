"""The app that commands register with, and how it ends.

Exit codes: 0 done; 1 it failed (store, embedder, model), or `doctor` found something; 2 the call was wrong (usage,
input, configuration, a missing package); 3 no memory with that id; 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from memory_mgr.errors import (
    ConfigurationError,
    InvalidInputError,
    MemoryMgrError,
    MemoryNotFoundError,
    MissingDependencyError,
    UsageError,
)

FAILED, WRONG_CALL, NOT_FOUND, INTERRUPTED = 1, 2, 3, 130

_FAMILIES = (
    "demo",
    "chat",
    "replay",
    "write",
    "look",
    "upkeep",
    "transfer",
    "doctor",
    "migrate",
    "repair",
    "scrub",
    "serve",
)
"""Modules whose commands are shown, in this order. At their top they import nothing slow."""

_ClickException: type[Exception] = typer.BadParameter.__mro__[2]
"""Typer brings a click of its own, or uses the installed one; this is the one it raises."""

app = typer.Typer(
    name="memory-mgr",
    help="Tiered memory for LLM applications: store, search, look inside.",
    epilog="Where memory is: --path, --url or --config, or MEMORY_MGR_PATH, MEMORY_MGR_URL, MEMORY_MGR_CONFIG and "
    "MEMORY_MGR_NAMESPACE; else ./memory. Exit codes: 0 done, 1 failed, 2 wrong call, 3 no such memory.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version and end.")
) -> None:
    if version:
        from memory_mgr import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def load() -> typer.Typer:
    """The app with all its commands."""
    for family in _FAMILIES:
        import_module(f"memory_mgr.cli.{family}")
    return app


def run() -> None:
    """Run the command line; errors are one line that says how to fix it."""
    load()
    try:
        code = app(standalone_mode=False)
    except (MemoryMgrError, typer.Abort, _ClickException) as error:
        print(f"memory-mgr: {_one_line(error)}", file=sys.stderr)
        code = _exit_code(error)
    sys.exit(code if isinstance(code, int) else 0)


def _exit_code(error: Exception) -> int:
    if isinstance(error, MemoryNotFoundError):
        return NOT_FOUND
    wrong = (ConfigurationError, InvalidInputError, MissingDependencyError, UsageError, _ClickException)
    return WRONG_CALL if isinstance(error, wrong) else FAILED


def _one_line(error: Exception) -> str:
    if isinstance(error, typer.Abort):
        return "stopped; nothing was changed"
    told = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    told = " ".join(str(told).split())
    return told if context is None else f"{told.rstrip('.')}; see {context.command_path} --help"
