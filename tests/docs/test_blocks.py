"""Every Python block of README and docs runs, offline; what a page says a block prints is what it prints.

The blocks of a page run in order in one namespace and an empty folder. A fenced `text` block right behind a Python
block is its output, compared but for dates, times and spaces. A block whose fence says `python no-run` is a fragment.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_MOMENT = re.compile(r"\d{1,2} [A-Z][a-z]+ \d{4}|\d{4}-\d\d-\d\d(?:[T ][\d:.+]+)?")


@dataclass(frozen=True)
class Block:
    """A Python block and the output that the page promises, None if it promises none."""

    code: str
    line: int
    output: str | None


def blocks(page: Path) -> list[Block]:
    """The Python blocks of a page that are to be run."""
    text = page.read_text("utf-8")
    fences = list(_FENCE.finditer(text))
    found = []
    for fence, following in zip_longest(fences, fences[1:]):
        if fence is None or fence["language"] != "python":
            continue
        promised = following is not None and following["language"] == "text" and _adjacent(text, fence, following)
        output = following["code"] if promised and following is not None else None
        found.append(Block(fence["code"], text.count("\n", 0, fence.start()) + 2, output))
    return found


def _adjacent(text: str, fence: re.Match[str], following: re.Match[str]) -> bool:
    return text[fence.end() : following.start()].strip() in {"", "prints", "prints:"}


RUNNER = """
import ast, asyncio, contextlib, inspect, io, json, sys
names = {"__name__": "__main__"}
for number, (code, line, name) in enumerate(json.load(sys.stdin)):
    tree = compile("\\n" * (line - 1) + code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        outcome = eval(tree, names)
        if inspect.iscoroutine(outcome):
            asyncio.run(outcome)
    print(json.dumps(printed.getvalue()))
"""
"""Runs in a process of its own, so that a page starts from nothing, as its reader does."""


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.stem)
def test_a_page_runs(page: Path, tmp_path: Path) -> None:
    """From its first block to its last, printing what it says."""
    found = blocks(page)
    work = json.dumps([(block.code, block.line, page.name) for block in found])
    run = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=work,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    printed = [json.loads(line) for line in run.stdout.splitlines()]
    for block, output in zip(found, printed, strict=True):
        if block.output is not None:
            assert _plain(output) == _plain(block.output), f"{page.name}:{block.line}"


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in _MOMENT.sub("<date>", text).strip().splitlines())
