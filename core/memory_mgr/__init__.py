"""Tiered memory for LLM applications: remembers the right thing inside a token budget, offline, on Chroma.

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memory_mgr.actors import acting_as
    from memory_mgr.changes import Change
    from memory_mgr.config import (
        AutoConsolidateConfig,
        EpisodicConfig,
        LongTermConfig,
        MemoryConfig,
        ModelConfig,
        ShortTermConfig,
        WorkingConfig,
    )
    from memory_mgr.conversation import ConversationContext
    from memory_mgr.engine.conversation import SyncConversationContext
    from memory_mgr.engine.manager import SyncMemoryManager
    from memory_mgr.engine.reembedding import reembed
    from memory_mgr.errors import (
        ConfigurationError,
        EmbeddingError,
        EmbeddingMismatchError,
        ExtensionError,
        ImportFileError,
        InvalidFilterError,
        InvalidInputError,
        ManagerClosedError,
        MemoryMgrError,
        MemoryNotFoundError,
        MissingDependencyError,
        RedactionError,
        RerankError,
        SchemaVersionError,
        ScoringError,
        StoreError,
        StoreUnavailableError,
        SummarizationError,
        SuspiciousContentError,
        SyncInAsyncError,
        UsageError,
    )
    from memory_mgr.events import Event
    from memory_mgr.manager import MemoryManager
    from memory_mgr.policy.redaction import PatternRedactor
    from memory_mgr.policy.suspicion import SuspicionConfig
    from memory_mgr.protocols import (
        LLM,
        Clock,
        Embedder,
        ImportanceScorer,
        Redactor,
        Reranker,
        Summarizer,
        TokenCounter,
    )
    from memory_mgr.types import (
        Action,
        Context,
        ImportReport,
        MemoryEntry,
        MemoryType,
        MemoryTypes,
        Message,
        NewMemory,
        Stats,
        ToolCall,
        UpkeepReport,
    )

__version__ = "0.1.0"

__all__ = [
    "LLM",
    "Action",
    "AutoConsolidateConfig",
    "Change",
    "Clock",
    "ConfigurationError",
    "Context",
    "ConversationContext",
    "Embedder",
    "EmbeddingError",
    "EmbeddingMismatchError",
    "EpisodicConfig",
    "Event",
    "ExtensionError",
    "ImportFileError",
    "ImportReport",
    "ImportanceScorer",
    "InvalidFilterError",
    "InvalidInputError",
    "LongTermConfig",
    "ManagerClosedError",
    "MemoryConfig",
    "MemoryEntry",
    "MemoryManager",
    "MemoryMgrError",
    "MemoryNotFoundError",
    "MemoryType",
    "MemoryTypes",
    "Message",
    "MissingDependencyError",
    "ModelConfig",
    "NewMemory",
    "PatternRedactor",
    "RedactionError",
    "Redactor",
    "RerankError",
    "Reranker",
    "SchemaVersionError",
    "ScoringError",
    "ShortTermConfig",
    "Stats",
    "StoreError",
    "StoreUnavailableError",
    "SummarizationError",
    "Summarizer",
    "SuspicionConfig",
    "SuspiciousContentError",
    "SyncConversationContext",
    "SyncInAsyncError",
    "SyncMemoryManager",
    "TokenCounter",
    "ToolCall",
    "UpkeepReport",
    "UsageError",
    "WorkingConfig",
    "__version__",
    "acting_as",
    "reembed",
]

_HOMES = {
    "Action": "memory_mgr.types",
    "AutoConsolidateConfig": "memory_mgr.config",
    "Clock": "memory_mgr.protocols",
    "ConfigurationError": "memory_mgr.errors",
    "Context": "memory_mgr.types",
    "ConversationContext": "memory_mgr.conversation",
    "Embedder": "memory_mgr.protocols",
    "EmbeddingError": "memory_mgr.errors",
    "EmbeddingMismatchError": "memory_mgr.errors",
    "EpisodicConfig": "memory_mgr.config",
    "Event": "memory_mgr.events",
    "ExtensionError": "memory_mgr.errors",
    "ImportFileError": "memory_mgr.errors",
    "ImportReport": "memory_mgr.types",
    "ImportanceScorer": "memory_mgr.protocols",
    "InvalidFilterError": "memory_mgr.errors",
    "InvalidInputError": "memory_mgr.errors",
    "LLM": "memory_mgr.protocols",
    "LongTermConfig": "memory_mgr.config",
    "ManagerClosedError": "memory_mgr.errors",
    "MemoryConfig": "memory_mgr.config",
    "MemoryEntry": "memory_mgr.types",
    "MemoryManager": "memory_mgr.manager",
    "MemoryMgrError": "memory_mgr.errors",
    "MemoryNotFoundError": "memory_mgr.errors",
    "MemoryType": "memory_mgr.types",
    "MemoryTypes": "memory_mgr.types",
    "Message": "memory_mgr.types",
    "MissingDependencyError": "memory_mgr.errors",
    "ModelConfig": "memory_mgr.config",
    "NewMemory": "memory_mgr.types",
    "Redactor": "memory_mgr.protocols",
    "RerankError": "memory_mgr.errors",
    "Reranker": "memory_mgr.protocols",
    "SchemaVersionError": "memory_mgr.errors",
    "ScoringError": "memory_mgr.errors",
    "ShortTermConfig": "memory_mgr.config",
    "Stats": "memory_mgr.types",
    "StoreError": "memory_mgr.errors",
    "StoreUnavailableError": "memory_mgr.errors",
    "SummarizationError": "memory_mgr.errors",
    "Summarizer": "memory_mgr.protocols",
    "SyncConversationContext": "memory_mgr.engine.conversation",
    "SyncInAsyncError": "memory_mgr.errors",
    "SyncMemoryManager": "memory_mgr.engine.manager",
    "TokenCounter": "memory_mgr.protocols",
    "ToolCall": "memory_mgr.types",
    "UpkeepReport": "memory_mgr.types",
    "reembed": "memory_mgr.engine.reembedding",
    "UsageError": "memory_mgr.errors",
    "WorkingConfig": "memory_mgr.config",
    "acting_as": "memory_mgr.actors",
    "Change": "memory_mgr.changes",
    "PatternRedactor": "memory_mgr.policy.redaction",
    "RedactionError": "memory_mgr.errors",
    "SuspiciousContentError": "memory_mgr.errors",
    "SuspicionConfig": "memory_mgr.policy.suspicion",
}
"""Where each public name lives."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
