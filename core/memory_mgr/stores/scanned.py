"""What a store hands out when it is read whole: ids, texts and records, as entries or as lines of the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from memory_mgr.protocols import Vectors
from memory_mgr.stores.codec import decode_entry, lines_of
from memory_mgr.stores.lines import Line
from memory_mgr.types import MemoryEntry, MemoryType, Namespace


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """Some of the entries of a tier.

    Attributes:
        namespace: Whose they are.
        tier: The tier that holds them.
        ids: Of each.
        contents: The text of each.
        records: All else of each, as `stores.codec.encode_entry` writes it.
        vectors: Of shape (len(ids), dimensions); None if they were not asked for.
    """

    namespace: Namespace
    tier: MemoryType
    ids: list[str]
    contents: list[str]
    records: list[str]
    vectors: Vectors | None

    def entries(self) -> list[MemoryEntry]:
        """They themselves."""
        told = zip(self.ids, self.contents, self.records, strict=True)
        return [decode_entry(*one, self.namespace, self.tier) for one in told]

    def lines(self) -> list[Line]:
        """As the catalog keeps them."""
        return lines_of(self.ids, self.contents, self.records, self.tier)
