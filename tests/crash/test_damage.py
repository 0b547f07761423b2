"""Damaged, deleted and foreign catalogs, full disks, folders that cannot be written, folders that are in use."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from memory_mgr import MemoryConfig, StoreUnavailableError, SyncMemoryManager, UsageError

from .checks import check_consistent

ROOT = Path(__file__).parents[2]


def _catalog(config: MemoryConfig) -> Path:
    assert config.catalogs is not None
    (file,) = config.catalogs.glob("*.sqlite3")
    return file


def _in_sql(*statements: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        database = sqlite3.connect(file)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    return change


def _overwritten(start: float, length: float) -> Callable[[Path], None]:
    """Garbage over a part of the file, in fractions of its size."""

    def change(file: Path) -> None:
        data = bytearray(file.read_bytes())
        first, last = int(len(data) * start), int(len(data) * (start + length))
        data[first:last] = bytes((n * 37 + 11) % 256 for n in range(last - first))
        file.write_bytes(data)

    return change


def _foreign(file: Path) -> None:
    file.unlink()
    _in_sql("CREATE TABLE entries (other TEXT)")(file)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "cut in half": lambda file: os.truncate(file, file.stat().st_size // 2),
    "cut within a page": lambda file: os.truncate(file, 5000),
    "cut within the head": lambda file: os.truncate(file, 50),
    "not a database": lambda file: file.write_bytes(b"\x00\xff" * 5000),
    "garbage at the beginning": _overwritten(0.0, 0.01),
    "garbage in the middle": _overwritten(0.3, 0.3),
    "garbage all over": _overwritten(0.02, 0.98),
    "of another version": _in_sql("UPDATE meta SET value = '999' WHERE key = 'version'"),
    "of another namespace": _in_sql("UPDATE meta SET value = '[\"other\"]' WHERE key = 'namespace'"),
    "of another program": _foreign,
    "rows missing": _in_sql("DELETE FROM entries WHERE rowid % 2"),
    "all rows missing": _in_sql("DELETE FROM entries"),
    "garbage in the log": lambda file: file.with_name(f"{file.name}-wal").write_bytes(b"\x37" * 4096),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_catalog_is_made_anew(config: MemoryConfig, damage: str) -> None:
    """Whatever happened to the file, everything is there and found when the memory is opened next."""
    with SyncMemoryManager(config) as memory:
        memory.add_memories([f"fact number {n} about thing{n}" for n in range(120)], "long_term")
        memory.add_memory("a note", "working")
    DAMAGES[damage](_catalog(config))
    with SyncMemoryManager(config) as memory:
        assert memory.stats().total == 121
        assert memory.search_memory("thing77", limit=1)[0].content == "fact number 77 about thing77"
        assert len(memory.list_memories("long_term", limit=None)) == 120
        check_consistent(memory)


def _python(script: str, *arguments: object, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        user=user,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'core'}{os.pathsep}{ROOT}"},
    )


FILL = """
    import os, pathlib, resource, shutil, sys
    from memory_mgr import StoreError, SyncMemoryManager
    from memory_mgr.testing import FakeEmbedder

    path, how = pathlib.Path(sys.argv[1]), sys.argv[2]
    memory = SyncMemoryManager(path=path, embedder=FakeEmbedder())
    print(memory.add_memory("first", id="first").id)
    if how == "limit":
        largest = max(f.stat().st_size for f in path.rglob("*") if f.is_file())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 30_000, resource.RLIM_INFINITY))
    for n in range(4000):
        try:
            print(memory.add_memory("much text that takes room " * 2000, id=f"m{n}").id)
        except StoreError as error:
            print("refused", flush=True)
            print(error, file=sys.stderr)
            if how == "disk":
                assert [e.id for e in memory.list_memories(limit=1)] == ["first"]
                (path.parent / "ballast").unlink()
                print(memory.add_memory("room again", id="last").id, flush=True)
            break
    # Not closed: Chroma may not come back from what it did not expect.
    os._exit(0)
"""


def _fill(folder: Path, how: str) -> list[str]:
    """Ids that were acknowledged until the disk was full, and after."""
    result = _python(FILL, folder, how)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "refused" in result.stdout, "the disk was never full"
    return [word for word in result.stdout.split() if word != "refused"]


def _all_there(config: MemoryConfig, folder: Path, acknowledged: list[str]) -> None:
    with SyncMemoryManager(config.replaced(path=folder, namespace="default")) as memory:
        assert set(acknowledged) <= {entry.id for entry in memory.list_memories(limit=None)}
        check_consistent(memory)


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_files_that_cannot_grow(config: MemoryConfig, tmp_path: Path) -> None:
    """A typed error; opened again, everything acknowledged is there."""
    _all_there(config, tmp_path / "memory", _fill(tmp_path / "memory", "limit"))


def test_a_full_disk(config: MemoryConfig, tmp_path: Path) -> None:
    """Refused while there is still room for Chroma to live; when there is room the same memory goes on."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(tmp_path / "disk")]
    (tmp_path / "disk").mkdir()
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        (tmp_path / "disk" / "ballast").write_bytes(b"x" * (110 << 20))
        acknowledged = _fill(tmp_path / "disk" / "memory", "disk")
        assert acknowledged[-1] == "last"
        _all_there(config, tmp_path / "disk" / "memory", acknowledged)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "disk")], check=True)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said which one."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    script = """
        import sys
        from memory_mgr import StoreUnavailableError, SyncMemoryManager
        from memory_mgr.testing import FakeEmbedder
        try:
            SyncMemoryManager(path=sys.argv[1], embedder=FakeEmbedder())
        except StoreUnavailableError as error:
            print("refused:", error)
    """
    if os.geteuid() == 0:
        for parent in (folder, *folder.parents):
            if not parent.stat().st_mode & 0o001:
                pytest.skip(f"{parent} is closed to others, and this user may write everywhere")
    result = _python(script, folder / "memory", user=65534 if os.geteuid() == 0 else None)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "refused:" in result.stdout
    assert str(folder) in result.stdout


HOLDER = """
    import sys
    from memory_mgr import SyncMemoryManager
    from memory_mgr.testing import FakeEmbedder
    with SyncMemoryManager(path=sys.argv[1], embedder=FakeEmbedder(), read_only=sys.argv[2] == "read") as memory:
        print(len(memory.list_memories()), flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [("write", False, False), ("write", True, False), ("read", True, True), ("read", False, False)],
)
def test_two_processes_on_one_folder(config: MemoryConfig, first: str, second: bool, fits: bool) -> None:
    """One writer or several readers; everybody else is told who has it, and gets in when they are gone."""
    with SyncMemoryManager(config) as memory:
        memory.scoped("x").add_memory("something")
    path = str(config.path)
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), path, first]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'core'}{os.pathsep}{ROOT}"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "0"
        mine = config.replaced(read_only=second)
        if fits:
            with SyncMemoryManager(mine) as memory:
                assert [e.content for e in memory.scoped("x").list_memories()] == ["something"]
        else:
            with pytest.raises(StoreUnavailableError, match=f"process .*pid ({other.pid}|unknown)"):
                SyncMemoryManager(mine)
        other.communicate("")
    with SyncMemoryManager(config) as memory:
        memory.add_memory("mine now")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_memory_is_refused(config: MemoryConfig, tmp_path: Path) -> None:
    """The child is told to open its own; the parent can close and open again while the child lives."""
    script = """
        import os, sys, time
        from memory_mgr import SyncMemoryManager, UsageError
        from memory_mgr.testing import FakeEmbedder
        memory = SyncMemoryManager(path=sys.argv[1], embedder=FakeEmbedder())
        memory.add_memory("before")
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            try:
                memory.add_memory("in the child")
            except UsageError as error:
                os.write(ready[1], b"refused")
            os.read(done[0], 1)
            os._exit(0)
        print(os.read(ready[0], 10).decode())
        memory.close()
        with SyncMemoryManager(path=sys.argv[1], embedder=FakeEmbedder()) as memory:
            print(len(memory.list_memories()))
        os.write(done[1], b"x")
        os.waitpid(child, 0)
    """
    result = _python(script, tmp_path / "memory")
    assert result.stdout.split() == ["refused", "1"], result.stderr[-3000:]


def test_a_reader_changes_nothing(config: MemoryConfig) -> None:
    """It reads past a damaged catalog without touching it, and refuses to write."""
    with SyncMemoryManager(config) as memory:
        memory.add_memory("something")
    file = _catalog(config)
    file.write_bytes(b"damaged" * 1000)
    with SyncMemoryManager(config.replaced(read_only=True)) as memory:
        assert [e.content for e in memory.list_memories()] == ["something"]
        with pytest.raises(UsageError):
            memory.add_memory("more")
    assert file.read_bytes() == b"damaged" * 1000
