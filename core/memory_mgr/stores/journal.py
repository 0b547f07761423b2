"""How the clients of one Chroma server learn what the others changed in a namespace.

Every client keeps a catalog of its own. Beside the tiers of a namespace lies a small collection, its journal: each
client appends the ids it is about to change under a number of its own, writes, and then says that it is through
with that number. The others ask about once a second for what they have not seen, and read those entries anew. No
clock is compared and nothing is locked: numbers only grow, each client writes only its own records, and looking at
an entry twice does no harm.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

POLL_SECONDS = 1.0
"""News are asked for at most this often."""
_IDS_A_RECORD = 200
"""Keeps a record within the limits of hosted Chroma."""
_KEPT = 10_000
"""Records of one client that are kept; who has slept through more rebuilds the catalog."""
_SPARE = 1000
"""Records beyond that which are let go together."""
_GIVEN_UP_SECONDS = 60.0
"""A change that stays begun for so long was interrupted; its entries are not looked at again."""
_FORGOTTEN_SECONDS = 7 * 86_400.0
"""Clients that have not written for so long are taken off the journal."""


class Records(Protocol):
    """A collection of small records, each a text and numbers; see `stores.chroma`."""

    def identity(self, *, create: bool) -> str | None:
        """Which collection it is: changes when it was dropped and made anew; None if there is none."""
        ...

    def write(self, ids: Sequence[str], texts: Sequence[str], numbers: Sequence[dict[str, Any]]) -> None:
        """Write records; same ids are replaced."""
        ...

    def texts(self, ids: Sequence[str]) -> list[str]:
        """The texts of records; missing ones are left out."""
        ...

    def clients(self) -> dict[str, dict[str, Any]]:
        """The numbers of the records that stand for clients, by id; {} if the collection is gone."""
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Remove records."""
        ...


class Journal:
    """One client's view of the journal of one namespace. Not thread-safe: the repository's lock guards it.

    Args:
        records: Where it lies.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._client = uuid.uuid4().hex
        self._first, self._open, self._done = 1, 0, 0
        self._identity: str | None = None
        self._seen: dict[str, int] = {}
        self._begun: dict[str, tuple[int, float]] = {}
        self._asked = time.monotonic()
        self._tag = secrets.randbelow(1024)

    # --- numbers for new entries ---------------------------------------------------------------------------

    def sequences(self, last: int, count: int) -> range:
        """Numbers for `count` new entries, after `last`, that no other client gives out.

        Microseconds since 1970 with ten bits of this client's own behind: in order across clients as far as their
        clocks agree, and always in order within one.
        """
        tick = max(time.time_ns() // 1000, (last >> 10) + 1)
        return range((tick << 10) + self._tag, ((tick + count) << 10) + self._tag, 1 << 10)

    # --- telling the others --------------------------------------------------------------------------------

    @contextmanager
    def telling(self, ids: Sequence[str]) -> Iterator[None]:
        """Tell of a change of these entries, before and after it; one that fails is told as begun."""
        parts = [ids[start : start + _IDS_A_RECORD] for start in range(0, len(ids), _IDS_A_RECORD)]
        numbers = range(self._open + 1, self._open + 1 + len(parts))
        if self._open == 0:
            self._tidy()
        self._open += len(parts)
        self._records.write(
            [*(self._record(n) for n in numbers), self._client],
            [*map(json.dumps, parts), ""],
            [*({"number": n} for n in numbers), self._state()],
        )
        if self._identity is None:  # else a journal that is another one by now means that all was dropped meanwhile
            self._identity = self._records.identity(create=True)
        yield
        self._done = self._open
        self._records.write([self._client], [""], [self._state()])
        self._shorten()

    def _state(self) -> dict[str, Any]:
        return {"client": 1, "first": self._first, "open": self._open, "done": self._done, "at": time.time()}

    def _record(self, number: int, client: str | None = None) -> str:
        return f"{client or self._client}:{number}"

    def _shorten(self) -> None:
        if self._done - self._first < _KEPT + _SPARE:
            return
        old = range(self._first, self._done - _KEPT)
        self._first = self._done - _KEPT
        self._records.write([self._client], [""], [self._state()])
        self._records.remove([self._record(n) for n in old])

    # --- learning from the others --------------------------------------------------------------------------

    def due(self) -> bool:
        """Whether it is time to ask again."""
        return time.monotonic() - self._asked >= POLL_SECONDS

    def start(self) -> None:
        """All that was told so far counts as seen: the catalog is about to be made from Chroma."""
        self._asked = time.monotonic()
        self._seen = {client: int(state["done"]) for client, state in self._others().items()}
        self._identity = self._records.identity(create=False)
        self._begun.clear()

    def quiet(self) -> bool:
        """Whether no other client is in the middle of a change."""
        return all(state["open"] == state["done"] for state in self._others().values())

    def news(self) -> list[str] | None:
        """The ids that others changed or may have changed since; None = too much to tell, look at everything."""
        self._asked = time.monotonic()
        others = self._others()
        if self._records.identity(create=False) != self._identity:
            return None
        ids: list[str] = []
        for client, state in others.items():
            seen = self._seen.get(client, 0)
            if seen + 1 < state["first"]:
                return None
            told = [self._record(n, client) for n in range(seen + 1, state["open"] + 1)]
            ids += [memory_id for text in self._records.texts(told) for memory_id in json.loads(text)]
            self._seen[client] = state["open"] if self._interrupted(client, state) else state["done"]
        return list(dict.fromkeys(ids))

    def _interrupted(self, client: str, state: dict[str, Any]) -> bool:
        """Whether a change of another client stays begun for so long that it will not be finished."""
        if state["open"] == state["done"]:
            self._begun.pop(client, None)
            return False
        number, since = self._begun.get(client, (-1, 0.0))
        if number != state["open"]:
            self._begun[client] = (state["open"], time.monotonic())
            return False
        return time.monotonic() - since > _GIVEN_UP_SECONDS

    def _others(self) -> dict[str, dict[str, Any]]:
        return {client: state for client, state in self._records.clients().items() if client != self._client}

    # --- catalogs that outlive the process -----------------------------------------------------------------

    def state(self) -> str:
        """What was seen, for `resume`."""
        return json.dumps([self._identity, self._seen | {self._client: self._done}, time.time()])

    def resume(self, state: str | None) -> bool:
        """Go on from where a catalog left off; False if that is not known or too long ago."""
        if state is None:
            return False
        identity, seen, at = json.loads(state)
        if identity != self._records.identity(create=False) or time.time() - at > _FORGOTTEN_SECONDS / 2:
            return False
        self._identity, self._seen = identity, seen
        return True

    def _tidy(self) -> None:
        """Take off clients that are long gone."""
        for client, state in self._others().items():
            if time.time() - state["at"] > _FORGOTTEN_SECONDS:
                told = range(state["first"], state["open"] + 1)
                self._records.remove([*(self._record(n, client) for n in told), client])
                self._seen.pop(client, None)
