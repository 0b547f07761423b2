"""Which entries of a namespace a read may see, as SQL over the catalog's `entries`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memory_mgr.stores.filter_sql import SUSPICIOUS, names_rows, to_sql
from memory_mgr.stores.filters import Filter
from memory_mgr.types import MemoryType

ALL_TIERS = tuple(MemoryType)


@dataclass(frozen=True, slots=True)
class Selection:
    """Tiers, filter and visibility.

    Attributes:
        tiers: At least one.
        now: Entries that expired by then are hidden.
        filter: A parsed filter, None = everything.
        hidden: Show superseded and expired entries too.
        harmless: Leave out what looks like an instruction (see `policy.suspicion`).
        passages: Show the passages of long entries too.
    """

    tiers: tuple[MemoryType, ...]
    now: datetime
    filter: Filter | None = None
    hidden: bool = False
    harmless: bool = False
    passages: bool = False

    def where(self, *, per_row: bool = False) -> tuple[str, list[object]]:
        """A condition over `entries` and its parameters; `per_row` as in `filter_sql.to_sql`."""
        clauses, parameters = self._tier_clause()
        if not self.hidden:
            clauses.append("superseded_by IS NULL AND (expires IS NULL OR expires > ?)")
            parameters.append(self.now.timestamp())
        if self.harmless:
            clauses.append(f"NOT {SUSPICIOUS}")
        # Who looks at passages searches, and what has no vector is not to be found.
        clauses.append("vector IS NOT NULL" if self.passages else "whole IS NULL")
        if self.filter is not None:
            condition, values = to_sql(self.filter, per_row=per_row)
            clauses.append(f"({condition})")
            parameters.extend(values)
        return " AND ".join(clauses), parameters

    def _tier_clause(self) -> tuple[list[str], list[object]]:
        marks = ",".join("?" * len(self.tiers))
        # The plus keeps SQLite from walking all rows of a tier where attributes name the few that match.
        plus = "+" if self.filter is not None and names_rows(self.filter) else ""
        return [f"{plus}entries.tier IN ({marks})"], [tier.value for tier in self.tiers]

    def narrowed(self, tiers: Sequence[MemoryType]) -> Selection:
        """The same selection over other tiers."""
        return replace(self, tiers=tuple(tiers))

    def with_passages(self) -> Selection:
        """The same selection, passages of long entries included."""
        return replace(self, passages=True)
