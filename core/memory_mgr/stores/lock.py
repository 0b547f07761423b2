"""One writing process per embedded folder: a second one is told so instead of damaging the index."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from weakref import WeakSet

from memory_mgr.errors import StoreUnavailableError

_CLOSED = "closed\n"
"""What stands in the file instead of a process."""
_HELD: WeakSet[FolderLock] = WeakSet()


def _let_go_after_fork() -> None:
    """A child would keep the lock of its parent alive without being able to use the store."""
    for lock in list(_HELD):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_after_fork)


class FolderLock:
    """An advisory lock on a folder, held until released or the process ends.

    Args:
        folder: An existing folder.
        shared: For reading: several may hold it together, but not beside a writer.

    Attributes:
        was_closed: Whether the last who wrote let go of it as `release` says, rather than by dying.

    Raises:
        StoreUnavailableError: Another process holds it, or the folder is not writable.
    """

    def __init__(self, folder: Path, *, shared: bool) -> None:
        path = folder / "memory-mgr.lock"
        try:
            self._file = path.open("a+")
        except OSError as error:
            raise StoreUnavailableError(
                f"{folder} is not writable: {error.strerror or error}; fix its permissions or give another path"
            ) from error
        self._folder = folder
        self._shared = shared
        try:
            self._take(shared=shared)
        except BaseException:
            self._file.close()
            raise
        _HELD.add(self)
        self._file.seek(0)
        self.was_closed = self._file.read() == _CLOSED
        self._write(f"{os.getpid()}\n")

    @property
    def shared(self) -> bool:
        """Whether it is for reading only."""
        return self._shared

    def for_writing(self) -> None:
        """Make a lock for reading one for writing too.

        Raises:
            StoreUnavailableError: Another process reads or writes; it stays a lock for reading.
        """
        if self._shared:
            try:
                self._take(shared=False)
            except StoreUnavailableError:
                self._take(shared=True)
                raise
            self._shared = False

    def _take(self, *, shared: bool) -> None:
        try:
            _lock(self._file.fileno(), shared=shared)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip().rpartition("\n")[2] or "unknown"
            raise StoreUnavailableError(
                f"{self._folder} is in use by another process (pid {holder}); close it there, run a Chroma server and "
                "connect with url=, or open with read_only=True in all processes"
            ) from error

    def release(self, *, closed: bool = False) -> None:
        """Let others have it; twice does no harm.

        Args:
            closed: What the folder holds was closed in order.
        """
        if closed and not self._shared:
            self._write(_CLOSED)
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
