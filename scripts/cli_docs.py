"""Writes docs/cli.md from the commands' own --help; with --check, fails if the file is out of date."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
INTRO = Path(__file__).with_name("cli_intro.md")


def page() -> str:
    """The page as it should be: the introduction, then each command's help."""
    from memory_mgr.cli.app import load

    commands = load().registered_commands
    names = [command.name or getattr(command.callback, "__name__", "") for command in commands]
    parts = [INTRO.read_text("utf-8").rstrip(), _block([])]
    parts += [f"## {name}\n\n{_block([name])}" for name in names]
    return "\n\n".join(parts) + "\n"


def _block(arguments: list[str]) -> str:
    shown = " ".join(["memory-mgr", *arguments, "--help"])
    return f"```text\n$ {shown}\n{_help(arguments)}\n```"


def _help(arguments: list[str]) -> str:
    plain = {
        "COLUMNS": "110",
        "TERMINAL_WIDTH": "110",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "_TYPER_STANDARD_TRACEBACK": "1",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_MGR_")}
    code = f"import sys; sys.argv = ['memory-mgr', *{arguments!r}, '--help']; from memory_mgr.cli import main; main()"
    out = subprocess.check_output([sys.executable, "-c", code], env=environment | plain, text=True)
    return "\n".join(line.rstrip() for line in out.strip("\n").splitlines()).strip("\n")


def main() -> int:
    """Write the page, or check it."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.read_text("utf-8") == text:
        return 0
    print("docs/cli.md is out of date; run: python scripts/cli_docs.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
