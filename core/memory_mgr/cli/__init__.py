"""The command line: `memory-mgr`. One module a command; thin over `SyncMemoryManager`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the extra `[cli]` brings what it needs."""
    try:
        from memory_mgr.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "click"}:
            raise
        sys.exit(f'memory-mgr: the command line needs {error.name}: pip install "memory-mgr[cli]"')
    run()


__all__ = ["main"]
