"""Every error this library raises on purpose.

    MemoryMgrError
    ├ ConfigurationError(ValueError)          a setting cannot work
    ├ InvalidInputError(ValueError)           an argument was refused before anything was written
    │ ├ InvalidFilterError                    a filter with an unknown operator or a wrong operand
    │ ├ ImportFileError                       a line of an import file that cannot be used
    │ └ SuspiciousContentError                text that seems to give orders, under suspicion.policy="drop"
    ├ MemoryNotFoundError(LookupError)        no entry with that id in this namespace
    ├ StoreError                              the store did not do what it was asked
    │ ├ StoreUnavailableError                 not reachable, locked by another process, disk full
    │ ├ EmbeddingMismatchError                written by another embedder
    │ └ SchemaVersionError                    written by a newer version of this library, or by an older one
    ├ ExtensionError                          something the user plugged in failed
    │ ├ EmbeddingError
    │ ├ SummarizationError
    │ ├ ScoringError
    │ ├ RerankError
    │ └ RedactionError
    ├ MissingDependencyError(ImportError)     an optional package is not installed
    └ UsageError(RuntimeError)                the call is fine, the moment is not
      ├ ManagerClosedError
      └ SyncInAsyncError

Messages say what was wrong, with which value, and how to fix it.
"""

from __future__ import annotations


class MemoryMgrError(Exception):
    """Base of all errors of this library."""


class ConfigurationError(MemoryMgrError, ValueError):
    """A setting cannot work."""


class InvalidInputError(MemoryMgrError, ValueError):
    """An argument was refused; nothing was written."""


class InvalidFilterError(InvalidInputError):
    """A filter has an unknown operator or an operand of the wrong type."""


class ImportFileError(InvalidInputError):
    """A line of an import file cannot be used; `line` is its number, from 1."""

    def __init__(self, line: int, why: str) -> None:
        self.line = line
        super().__init__(f"line {line} {why}")


class SuspiciousContentError(InvalidInputError):
    """A text seems to give a model orders and is not stored; `found` names the signs."""

    def __init__(self, found: tuple[str, ...]) -> None:
        self.found = found
        super().__init__(
            f"the text seems to give a model orders ({', '.join(found)}) and was not stored; if it is wanted, store it "
            'with suspicion.policy="flag" or "quarantine"'
        )


class MemoryNotFoundError(MemoryMgrError, LookupError):
    """No entry with that id in this namespace."""

    def __init__(self, memory_id: str, namespace: tuple[str, ...]) -> None:
        self.memory_id = memory_id
        super().__init__(
            f"no memory {memory_id!r} in namespace {'/'.join(namespace)!r}; "
            "ids come from add_memory, list_memories and search_memory"
        )


class StoreError(MemoryMgrError):
    """The store did not do what it was asked."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached or used at the moment."""


class EmbeddingMismatchError(StoreError):
    """The store was written by another embedder than the one configured."""


class SchemaVersionError(StoreError):
    """The store was written by a newer version of this library, or by an older one and not migrated yet."""


class ExtensionError(MemoryMgrError):
    """Something the user plugged in failed."""


class EmbeddingError(ExtensionError):
    """The embedder raised or returned vectors that cannot be used."""


class SummarizationError(ExtensionError):
    """The summarizer raised or returned nothing that can be used."""


class ScoringError(ExtensionError):
    """The importance scorer raised or returned a value outside [0, 1]."""


class RerankError(ExtensionError):
    """The reranker raised or returned scores that do not match its input."""


class RedactionError(ExtensionError):
    """The redactor raised or returned something that is no text; nothing was stored unredacted."""


class MissingDependencyError(MemoryMgrError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.extra = extra
        super().__init__(f'{purpose} needs {package}: pip install "memory-mgr[{extra}]"')


class UsageError(MemoryMgrError, RuntimeError):
    """The call is fine, the moment is not."""


class ManagerClosedError(UsageError):
    """The manager was closed."""

    def __init__(self) -> None:
        super().__init__("this memory was closed; open a new MemoryManager with the same config")


class SyncInAsyncError(UsageError):
    """A blocking call was made where only the async one can work."""
