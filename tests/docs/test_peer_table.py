"""README's comparison with peers is what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from peer_table import BEGIN, END, table  # noqa: E402 - not a package

_RESULTS = ROOT / "benchmarks" / "results" / "peers.json"


def _block(text: str) -> str:
    """What stands between the two comments, with them; empty if they are not there."""
    begin, end = text.find(BEGIN), text.find(END)
    return text[begin : end + len(END)] if begin >= 0 else ""


def test_the_table_in_readme_is_made_of_the_committed_results() -> None:
    """README shows the table of benchmarks/results/peers.json word for word, and none without such results."""
    expected = table(json.loads(_RESULTS.read_text())) if _RESULTS.exists() else ""
    assert _block((ROOT / "README.md").read_text("utf-8")) == expected


def test_a_cell_tells_the_value_and_the_multiple_of_ours() -> None:
    """Peers stand beside us with their multiple, what failed says so, what does not exist is a dash."""
    results = [
        {"peer": "memory-mgr", "entries": 10, "add_p50_ms": 5.0, "reopen_s": 0.1},
        {"peer": "mem0", "entries": 10, "add_p50_ms": 20.0},
        {"peer": "LangChain", "entries": 10, "failed": "RuntimeError"},
        {"peer": "mem0", "R@10": 0.4},
    ]
    report = {"results": results, "machine": {"cpu": "a", "cpus": 2}, "date": "2026-01-01T00:00", "versions": {}}
    lines = table(report).splitlines()
    (mem0,) = (line for line in lines if line.startswith("| mem0 "))
    (langchain,) = (line for line in lines if line.startswith("| LangChain "))
    assert "20.0 (4.0x)" in mem0
    assert "0.400" in mem0
    assert "–" in mem0
    assert "failed" in langchain
