"""Reading: search, context, entries by id and in order, what there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from memory_mgr.engine import validation as check
from memory_mgr.engine.scope import Scope
from memory_mgr.engine.writing import found
from memory_mgr.events import observed
from memory_mgr.stores.repository import Repository
from memory_mgr.types import Context, Entries, Filters, MemoryEntry, MemoryType, Namespace, Stats, Tiers

_RECALLED_TIERS = (MemoryType.LONG_TERM, MemoryType.EPISODIC, MemoryType.SHORT_TERM)


class Reading(Scope):
    """The calls that change nothing."""

    @observed("search")
    def search_memory(
        self,
        query: str,
        memory_type: Tiers = None,
        limit: int = 5,
        filters: Filters | None = None,
        *,
        min_score: float | None = None,
        include_superseded: bool = False,
        with_embeddings: bool = False,
        explain: bool = False,
    ) -> list[MemoryEntry]:
        """What is remembered about `query`, best first.

        Args:
            query: A question or some words.
            memory_type: One tier, several, or None for all.
            limit: Entries at most; >= 0.
            filters: See `stores.filters`.
            min_score: Leave out what scores less; in [0, 1].
            include_superseded: Also what was replaced or has expired.
            with_embeddings: Fill `embedding`.
            explain: Fill `explain` with the parts of each score.

        Raises:
            InvalidInputError: The query is empty, the limit negative, a tier unknown.
            InvalidFilterError: The filter has an unknown operator or a wrong operand.
        """
        text = check.checked_text(query, "query")
        count = check.checked_count(limit, "limit")
        least = 0.0 if min_score is None else check.checked_unit(min_score, "min_score")
        selection = self._recallable(memory_type, filters, hidden=include_superseded)
        if count == 0:
            return []
        with self._lease() as repository:
            hits = self._recaller.search(repository, text, selection, count, explain=explain)
            hits = [hit for hit in hits if (hit.score or 0) >= least]
            return Entries(_embedded(repository, hits) if with_embeddings else hits)

    def similar_memories(
        self,
        query: str,
        memory_type: Tiers = None,
        limit: int = 5,
        filters: Filters | None = None,
        *,
        offset: int = 0,
    ) -> list[MemoryEntry]:
        """The memories nearest to `query` by embedding alone, best first; `score` is the cosine, in [-1, 1].

        For callers that need a plain vector search, with pages; `search_memory` finds more.

        Args:
            query: A question or some words.
            memory_type: One tier, several, or None for all.
            limit: Entries at most; >= 0.
            filters: See `stores.filters`.
            offset: Entries to skip; >= 0.

        Raises:
            InvalidInputError: The query is empty, a number negative, a tier unknown.
            InvalidFilterError: The filter cannot be read.
        """
        text = check.checked_text(query, "query")
        start = check.checked_count(offset, "offset")
        end = start + check.checked_count(limit, "limit")
        selection = self._selection(memory_type, filters, hidden=False)
        vector = self._runtime.embed([text], "query")[0]
        with self._lease() as repository:
            nearest = repository.read(lambda c: c.nearest(vector, selection))
            page = dict(list(nearest.items())[start:end])
            stored = repository.vectors(repository.read(lambda c: c.by_ids(list(page.values()))))
            scores = {i: float(stored[part] @ vector) for i, part in page.items() if part in stored}
            found = [e.with_changes(score=scores[e.id]) for e in repository.read(lambda c: c.by_ids(list(scores)))]
            return sorted(found, key=lambda e: -scores[e.id])

    @observed("context")
    def build_context(
        self,
        query: str,
        budget_tokens: int = 1000,
        conversation_id: str | None = None,
        *,
        memory_type: Tiers = None,
        filters: Filters | None = None,
        reserve_tokens: int = 0,
        include_recent: bool = True,
        sent: Collection[str] | None = None,
        explain: bool = False,
    ) -> Context:
        """What a model should be told before it answers `query`, in at most `budget_tokens` tokens.

        Args:
            query: What is about to be answered.
            budget_tokens: Tokens of `Context.text` at most, counted exactly; >= 0.
            conversation_id: Whose slots, recent turns and summaries to put in; None = only what is recalled.
            memory_type: The tiers to recall from, None = all but working.
            filters: What may be recalled.
            reserve_tokens: Tokens of the budget to leave free.
            include_recent: Put the recent turns into the text; False if the caller sends them as messages.
            sent: With `include_recent=False`: ids of the messages of the conversation that the caller sends itself;
                other messages of the window may then be recalled. None = it sends the whole window.
            explain: Say for each entry why it is in or out.

        Raises:
            InvalidInputError: A number is negative, a text empty.
            InvalidFilterError: The filter cannot be read.
        """
        text = check.checked_text(query, "query")
        budget = check.checked_count(budget_tokens, "budget_tokens")
        reserve = check.checked_count(reserve_tokens, "reserve_tokens")
        if conversation_id is not None:
            check.checked_text(conversation_id, "conversation_id")
        tiers = _RECALLED_TIERS if memory_type is None else memory_type
        selection = self._recallable(tiers, filters)
        with self._lease() as repository:
            return self._contexts.build(
                repository,
                text,
                max(0, budget - reserve),
                conversation_id,
                selection,
                include_recent=include_recent,
                sent=None if sent is None else set(check.checked_ids(sent)),
                explain=explain,
            )

    def explain_importance(
        self, text: str, *, role: str | None = None, previous: str | None = None
    ) -> dict[str, float]:
        """Why `text` would be as important as it would be, by the heuristic: log-odds by feature.

        Their sum is the log-odds of the score (`policy.importance.combine`); 0 is an average message.

        Args:
            text: What would be stored.
            role: Who says it: "user", "assistant", "system" or "tool".
            previous: What was said before it.

        Raises:
            InvalidInputError: A text is empty, the role unknown.
        """
        said = check.checked_text(text, "text")
        if role is not None:
            check.checked_role(role)
        before = None if previous is None else check.checked_text(previous, "previous")
        with self._lease() as repository:
            return self._runtime.importance.explained(repository, said, role=role, previous=before)

    def get_memory(self, memory_id: str, *, with_embedding: bool = False) -> MemoryEntry:
        """One entry by id, superseded or not.

        Raises:
            MemoryNotFoundError: There is none in this namespace.
        """
        with self._lease() as repository:
            entries = found(repository, [check.checked_id(memory_id)])
            return (_embedded(repository, entries) if with_embedding else entries)[0]

    def get_memories(self, ids: Sequence[str]) -> list[MemoryEntry]:
        """Entries by id, superseded and expired ones too, in the order of `ids`; missing ones are left out."""
        checked = check.checked_ids(ids)
        with self._lease() as repository:
            return repository.read(lambda c: c.by_ids(checked))

    def list_memories(
        self,
        memory_type: Tiers = None,
        *,
        source: str | None = None,
        filters: Filters | None = None,
        limit: int | None = 100,
        offset: int = 0,
        newest_first: bool = False,
        include_superseded: bool = False,
        with_embeddings: bool = False,
    ) -> list[MemoryEntry]:
        """Entries in order of time.

        Args:
            memory_type: One tier, several, or None for all.
            source: Only those of this stream.
            filters: See `stores.filters`.
            limit: Entries at most, None = all.
            offset: Entries to skip; >= 0.
            newest_first: The other way round.
            include_superseded: Also what was replaced or has expired.
            with_embeddings: Fill `embedding`.

        Raises:
            InvalidInputError: A number is negative, a tier unknown.
            InvalidFilterError: The filter cannot be read.
        """
        if source is not None:
            own = {"source": check.checked_text(source, "source")}
            filters = own if filters is None else {"$and": [own, filters]}
        selection = self._selection(memory_type, filters, hidden=include_superseded)
        most = None if limit is None else check.checked_count(limit, "limit")
        start = check.checked_count(offset, "offset")
        with self._lease() as repository:
            listed = repository.read(lambda c: c.listed(selection, limit=most, offset=start, newest_first=newest_first))
            return Entries(_embedded(repository, listed) if with_embeddings else listed)

    def metadata_values(self, name: str, memory_type: Tiers = None, *, filters: Filters | None = None) -> list[str]:
        """The different texts that memories hold under `name` in their metadata, sorted.

        Args:
            name: A key, or keys joined by dots.
            memory_type: One tier, several, or None for all.
            filters: Whose; see `stores.filters`.
        """
        path = check.checked_text(name, "name")
        selection = self._selection(memory_type, filters, hidden=False)
        with self._lease() as repository:
            return repository.read(lambda c: c.values(path, selection))

    def history(self, memory_id: str) -> list[MemoryEntry]:
        """An entry with what it superseded and what superseded it, oldest first.

        Raises:
            MemoryNotFoundError: There is none in this namespace.
        """
        with self._lease() as repository:
            entry = found(repository, [check.checked_id(memory_id)])[0]
            chain = [entry]
            while (earlier := chain[0].details.get("supersedes")) is not None:
                before = _by_id(repository, str(earlier))
                if not before or before[0] in chain:
                    break
                chain.insert(0, before[0])
            while (later := chain[-1].superseded_by) is not None:
                after = _by_id(repository, later)
                if not after or after[0] in chain:
                    break
                chain.append(after[0])
            return Entries(chain)

    def namespaces(self) -> list[Namespace]:
        """This namespace and those below it that hold anything, sorted."""
        depth = len(self.namespace)
        self._open()
        return [n for n in self._runtime.store.namespaces() if n[:depth] == self.namespace]

    def stats(self) -> Stats:
        """What this namespace holds."""
        with self._lease() as repository:
            counts = repository.read(lambda c: c.tier_counts())
            superseded, expired = repository.read(lambda c: c.hidden(self._runtime.now()))
        return Stats(
            namespace=self.namespace,
            counts=counts,
            superseded=superseded,
            expired=expired,
            bytes_on_disk=self.config.bytes_on_disk(),
            embedder=self._runtime.space.embedder,
            dimensions=self._runtime.space.dimensions,
        )


def _by_id(repository: Repository, memory_id: str) -> list[MemoryEntry]:
    return repository.read(lambda catalog: catalog.by_ids([memory_id]))


def _embedded(repository: Repository, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
    vectors = repository.vectors(entries)
    return [e.with_changes(embedding=vectors[e.id].tolist()) if e.id in vectors else e for e in entries]
