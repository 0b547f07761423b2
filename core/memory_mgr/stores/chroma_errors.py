"""The errors of Chroma and of what lies below it, as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from chromadb.errors import NotFoundError

from memory_mgr.errors import MemoryMgrError, StoreError, StoreUnavailableError

_UNAVAILABLE = (
    "connect",
    "timed out",
    "timeout",
    "locked",
    "disk",
    "readonly",
    "read-only",
    "unable to open",
)


@contextmanager
def map_store_errors(what: str) -> Iterator[None]:
    """Turn the errors of Chroma and what lies below into ours."""
    try:
        yield
    except (NotFoundError, MemoryMgrError):
        raise
    except (httpx.HTTPError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailableError(
            f"the Chroma server did not answer while {what}: {error or type(error).__name__}; "
            "check that it runs and that url is right"
        ) from error
    except Exception as error:  # chromadb raises plain `Exception` for answers it cannot read
        text = str(error) or type(error).__name__
        if any(word in text.lower() for word in _UNAVAILABLE):
            raise StoreUnavailableError(
                f"the store cannot be used while {what}: {text}; check the folder's permissions, the disk's free "
                "space, and that the server runs"
            ) from error
        raise StoreError(f"Chroma failed while {what}: {text}") from error
