"""How many deleted entries still take room in Chroma, as the catalog remembers it; lost, they are counted anew."""

from __future__ import annotations

from memory_mgr.stores.catalog import Catalog
from memory_mgr.types import MemoryType

LEAST = 1000
"""Deleted entries of a tier that are worth the work of making its collection anew (about a tenth of a second)."""
_SHARE = 4
"""... if they are so many times those that are left, for these have to be written again."""
_DELETED = "deleted/"


def note_deleted(catalog: Catalog, tier: MemoryType, count: int) -> None:
    """So many more were deleted in Chroma."""
    with catalog.transaction():
        catalog.set_meta(_DELETED + tier, str(_deleted(catalog, tier) + count))


def mostly_deleted(catalog: Catalog) -> list[MemoryType]:
    """Tiers whose collections hold far more that is deleted than what is left."""
    left = catalog.stored_counts()
    return [tier for tier in MemoryType if _deleted(catalog, tier) >= max(LEAST, _SHARE * left[tier])]


def note_compacted(catalog: Catalog, tier: MemoryType) -> None:
    """Nothing that was deleted is left there."""
    catalog.set_meta(_DELETED + tier, "0")


def _deleted(catalog: Catalog, tier: MemoryType) -> int:
    return int(catalog.meta(_DELETED + tier) or 0)
