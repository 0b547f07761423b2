"""Whether a namespace is as it was left: what nobody can have changed meanwhile is not compared with Chroma again.

Chroma reads the log of a collection, and opens its index, to count it; a process that goes from one namespace to
the next would wait for that longer than for anything else.
"""

from __future__ import annotations

from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.catalog import Catalog

_LEFT = "left"
"""What the catalog remembers: the session in which it was last closed."""


def note_left(store: VectorStore, catalog: Catalog) -> None:
    """Remember that the catalog is about to be closed, and agrees with the store."""
    if store.session is not None and catalog.meta(_LEFT) != store.session:
        catalog.set_meta(_LEFT, store.session)


def is_as_left(store: VectorStore, catalog: Catalog) -> bool:
    """Whether a catalog that was just opened still agrees with the store, without asking it."""
    return store.session is not None and catalog.meta(_LEFT) == store.session and not catalog.pending()
