"""One writing process per folder, however it came to write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memory_mgr import MemoryConfig, StoreUnavailableError, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

OTHER = """
import sys
from memory_mgr import StoreUnavailableError, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder
try:
    SyncMemoryManager(path=sys.argv[1], read_only=sys.argv[2] == "read", embedder=FakeEmbedder()).stats()
except StoreUnavailableError as error:
    sys.exit("in use" in str(error))
sys.exit(7)
"""


def refused(folder: Path, how: str) -> bool:
    """Whether another process is kept from the folder."""
    return subprocess.run([sys.executable, "-c", OTHER, str(folder), how], check=False).returncode == 1


def test_a_reader_that_begins_to_write_shuts_others_out(tmp_path: Path) -> None:
    """A writing manager opened beside a reading one in the same process holds the folder alone."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder())
    SyncMemoryManager(config).close()
    with SyncMemoryManager(config, read_only=True):
        assert not refused(tmp_path, "read")
        assert refused(tmp_path, "write")
        with SyncMemoryManager(config) as writer:
            writer.add_memory("written")
            assert refused(tmp_path, "read")
            assert refused(tmp_path, "write")


def test_a_reader_may_not_begin_to_write_beside_another_process(tmp_path: Path) -> None:
    """It is told so, and may go on reading."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder())
    with SyncMemoryManager(config) as writer:
        writer.add_memory("kept")
    hold = OTHER.replace("sys.exit(7)", "print(flush=True); sys.stdin.read()")
    command = [sys.executable, "-c", hold, str(tmp_path), "read"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with SyncMemoryManager(config, read_only=True) as reader:
            with pytest.raises(StoreUnavailableError, match="in use"):
                SyncMemoryManager(config)
            assert reader.search_memory("kept")[0].content == "kept"
        other.communicate()
