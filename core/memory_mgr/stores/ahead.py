"""Working ahead: while the caller is at work on one batch, another thread has the next one ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ahead(batches: Iterator[T]) -> Iterator[T]:
    """The batches in order, none of them None; one is kept ready by another thread."""
    with ThreadPoolExecutor(1, "memory-mgr-ahead") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def made_ahead(make: Callable[[S], T], of: Iterable[S]) -> Iterator[T]:
    """What another thread makes of each batch, in order, one ahead; the batches are read by the caller's thread."""
    with ThreadPoolExecutor(1, "memory-mgr-ahead") as maker:
        coming = None
        for batch in of:
            following = maker.submit(make, batch)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()
