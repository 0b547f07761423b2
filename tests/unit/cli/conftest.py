"""The command line as a user runs it, in this process, on a small embedder."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memory_mgr.cli.app import run


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A config file."""
    file = tmp_path / "memory.toml"
    file.write_text('path = "store"\nnamespace = ["acme", "ann"]\nembedder = "memory_mgr.testing:FakeEmbedder"\n')
    return file


@pytest.fixture
def cli(settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs one command; `MEMORY_MGR_CONFIG` names the config file."""
    monkeypatch.setenv("MEMORY_MGR_CONFIG", str(settings))
    monkeypatch.setenv("COLUMNS", "100")

    def ran(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["memory-mgr", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            run()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return ran
