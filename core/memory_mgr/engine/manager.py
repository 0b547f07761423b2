"""`SyncMemoryManager`: every call on one namespace, checked here and carried out by the rooms beside this one."""

from __future__ import annotations

from typing import Any

from memory_mgr.config import MemoryConfig
from memory_mgr.engine import validation as check
from memory_mgr.engine.changing import Changing
from memory_mgr.engine.conversation import SyncConversationContext
from memory_mgr.engine.keeping import Keeping
from memory_mgr.engine.reading import Reading
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.upkeep import in_background
from memory_mgr.errors import ConfigurationError
from memory_mgr.policy.eviction import EvictionConfig


class SyncMemoryManager(Changing, Reading, Keeping):
    """Remembers, recalls, and forgets, for one namespace. Thread-safe.

    Args:
        config: The settings; default: an embedded store in ./memory.
        settings: Single settings in place of, or on top of, `config`: `SyncMemoryManager(path="./memory")`.

    Raises:
        ConfigurationError: A setting cannot work.
        StoreUnavailableError: The store cannot be reached, or another process writes to it.
    """

    def __init__(self, config: MemoryConfig | None = None, /, **settings: Any) -> None:
        if config is not None and not isinstance(config, MemoryConfig):
            raise ConfigurationError(f"expected a MemoryConfig, not {check.shown(config)}; or pass path=...")
        self.config = MemoryConfig(**settings) if config is None else config.replaced(**settings)
        namespace = check.checked_namespace(self.config.namespace)
        runtime = Runtime(self.config)
        runtime.background = in_background(runtime)
        self._bind(runtime, namespace, owner=True)

    def scoped(self, *labels: str | int) -> SyncMemoryManager:
        """A manager for the namespace below this one that `labels` name; it shares the store and is not closed.

        Raises:
            InvalidInputError: A label is empty or not text.
        """
        below = check.checked_namespace(labels)
        manager = object.__new__(type(self))
        namespace = (*self.namespace, *below)
        manager.config = self.config.below(namespace)
        manager._bind(self._runtime, namespace, owner=False)
        return manager

    def conversation(
        self, conversation_id: str, *, short_term: EvictionConfig | None = None
    ) -> SyncConversationContext:
        """One conversation in this namespace, its window kept within `short_term` (default: the config's)."""
        return SyncConversationContext(conversation_id, memory=self, short_term=short_term)
