"""docs/cli.md says what --help says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "cli_docs.py"


def test_the_page_is_what_help_prints() -> None:
    """If it is not: python scripts/cli_docs.py."""
    checked = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
