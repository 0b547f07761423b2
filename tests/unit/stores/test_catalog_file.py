"""What a catalog's connection keeps in memory."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores.catalog import Catalog
from memory_mgr.types import MemoryEntry, MemoryType

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def facts(first: int, count: int) -> list[MemoryEntry]:
    """So many, numbered."""
    return [
        MemoryEntry(
            id=f"f{n}",
            namespace=("a",),
            content=f"fact {n}",
            memory_type=MemoryType.LONG_TERM,
            timestamp=NOW,
            sequence=n,
            created_at=NOW,
        )
        for n in range(first, first + count)
    ]


def test_a_large_write_leaves_no_pages_in_memory(tmp_path: Path) -> None:
    """A small one leaves them to whoever reads next; each statement is for so few rows that keeping it is cheap."""
    with closing(Catalog(tmp_path / "catalog", ("a",), RecallConfig())) as catalog:
        told: list[str] = []
        catalog.db.set_trace_callback(told.append)
        catalog.apply(facts(0, 64), np.zeros((64, 8), np.float32))
        assert told
        assert not [sql for sql in told if "shrink_memory" in sql]
        catalog.apply(facts(64, 1000), np.zeros((1000, 8), np.float32))
        assert [sql for sql in told if "shrink_memory" in sql] == ["PRAGMA shrink_memory"]
        assert told.index("PRAGMA shrink_memory") > max(i for i, sql in enumerate(told) if sql == "COMMIT")
        assert catalog.stored_counts()[MemoryType.LONG_TERM] == 1064
