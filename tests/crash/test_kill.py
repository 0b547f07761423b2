"""A process that is killed in the middle of its work loses nothing that it acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kill import Killing


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_every_acknowledged_entry_is_there_once(tmp_path: Path, rounds: int) -> None:
    """After each kill: all that was acknowledged is there once, no turn is torn, catalog and Chroma agree."""
    killing = Killing(tmp_path / "memory", seed=rounds, longest=2.0)
    for _ in range(rounds):
        killing.once()
    assert killing.record.count > rounds
