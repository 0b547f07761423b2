"""Which memory an adapter's object talks to: one it was given, or one that it opens by settings and closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.errors import ConfigurationError, UsageError
from memory_mgr.manager import MemoryManager

P = ParamSpec("P")
R = TypeVar("R")


class Connection:
    """A memory with both faces, opened when it is first used. Thread-safe; pickles as its settings.

    Args:
        memory: An open memory, which stays open.
        config: Settings of a memory that this object opens and closes; default: an embedded store in ./memory.

    Raises:
        ConfigurationError: Both are given, or something else than these.
    """

    def __init__(
        self, memory: MemoryManager | SyncMemoryManager | None = None, config: MemoryConfig | None = None
    ) -> None:
        if memory is not None and config is not None:
            raise ConfigurationError("give a memory or a config, not both: the memory brings its own settings")
        if memory is not None and not isinstance(memory, MemoryManager | SyncMemoryManager):
            raise ConfigurationError(
                f"memory must be a MemoryManager or a SyncMemoryManager, not {memory!r:.80}; for settings use config="
            )
        self._owned = memory is None
        self._manager = (
            MemoryManager.wrapping(memory)
            if isinstance(memory, SyncMemoryManager)
            else memory or MemoryManager(config or MemoryConfig())
        )

    @property
    def config(self) -> MemoryConfig:
        """The settings of the memory."""
        return self._manager.config

    @property
    def manager(self) -> MemoryManager:
        """The async face."""
        return self._manager

    @property
    def sync(self) -> SyncMemoryManager:
        """The blocking face; for worker threads and plain code."""
        return self.manager.sync

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run blocking code in the memory's workers; bound to no event loop."""
        return await self.manager.workers.run(call, *args, **kwargs)

    def close(self) -> None:
        """Close the memory if it was opened here."""
        if self._owned:
            self._manager.close_now()

    def __deepcopy__(self, memo: object = None) -> Self:
        """Itself: a copy talks to the same memory."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        if self.config.client is not None or self.config.in_memory:
            raise UsageError(
                "this memory is in this process only (a chromadb client given as client=, or path=':memory:') and "
                "cannot be pickled; use path= or url="
            )
        return {"config": self.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Connection.__init__(self, config=state["config"])
