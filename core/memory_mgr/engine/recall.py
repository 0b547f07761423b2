"""Search: candidates from words and from vectors, with their neighbours, ranked by `policy.recall`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from memory_mgr.engine.runtime import Runtime
from memory_mgr.errors import RerankError
from memory_mgr.policy.candidates import Candidates
from memory_mgr.policy.cues import told
from memory_mgr.policy.dense import DensePlan, plan_dense
from memory_mgr.policy.lexical import needed_terms, repair_term, select_terms
from memory_mgr.policy.query import Query, analyse
from memory_mgr.policy.recall import Ranked, Scored, Shown, best, repeats, score
from memory_mgr.policy.rerank import blend
from memory_mgr.protocols import Reranker
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.catalog_ranking import Text
from memory_mgr.stores.catalog_reading import Rows
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.stores.stems import stems
from memory_mgr.types import MemoryEntry, MemoryType

Vector = NDArray[np.float32]
_ENOUGH = 4
"""Matches of the rarest words, in times of the wanted, that are thought to hold the best. With five conversations of
LoCoMo in one namespace R@10 is the same as with all matches scored (.841), with 3 it is .840."""
Matching = dict[MemoryType, Rows]
"""Rows of the catalog by tier."""


class Recaller:
    """Finds entries of one namespace.

    Args:
        runtime: The shared pieces.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config = runtime.config.recall

    def search(
        self,
        repository: Repository,
        text: str,
        selection: Selection,
        limit: int,
        *,
        explain: bool = False,
        note: bool = True,
    ) -> list[MemoryEntry]:
        """The best `limit` entries of the selection, best first, with `score` and, if asked, `explain`.

        With `note` they count as recalled.
        """
        ranked, texts = self.ranked(repository, text, selection, limit, explain=explain)
        scores = {r.id: r.score for r in ranked}
        entries = repository.read(lambda catalog: catalog.by_ids(list(scores), scores))
        if note:
            self.note(repository, scores)
        parts = {r.id: r for r in ranked if explain or r.passage is not None}
        return [
            _told(entry, parts[entry.id], texts, explain=explain) if entry.id in parts else entry for entry in entries
        ]

    def note(self, repository: Repository, ids: Iterable[str]) -> None:
        """Count entries as recalled now; kept in memory and written now and then."""
        if not self._runtime.config.read_only:
            repository.accessed(ids, self._runtime.now().timestamp())

    def ranked(
        self, repository: Repository, text: str, selection: Selection, limit: int, *, explain: bool = False
    ) -> tuple[list[Ranked], dict[str, Text]]:
        """The ranking behind `search`, and the texts of its front by id."""
        selection = selection.with_passages()
        query = analyse(text, now=selection.now, config=self._config)
        among = repository.read(lambda catalog: _matching(catalog, selection))
        plans = self._plans(repository, selection, among)

        def by_meaning() -> tuple[Vector, dict[MemoryType, list[str]]]:
            vector = self._runtime.embed([query.text], "query")[0]
            return vector, self._indexed(repository, vector, plans)

        def by_words() -> dict[int, float]:
            return repository.read(lambda catalog: self._words(catalog, query, selection, among))

        # The caller's embedder stays in the caller's thread. What asks the catalog too would wait for the words.
        words, (vector, indexed) = self._runtime.beside.both(by_words, by_meaning)
        near = {
            row
            for tier, plan in plans.items()
            for row in self._near(repository, vector, selection.narrowed([tier]), plan, indexed.get(tier), among)
        }
        wanted = limit if self._runtime.reranker is None else max(limit, self._config.rerank_candidates)
        rows = _rows(among)
        candidates = repository.read(lambda catalog: catalog.candidates(vector, words, near, selection, rows))
        if query.asks_when or query.asks_number:
            candidates = repository.read(lambda catalog: _cued(catalog, query, candidates))
        scored = score(query, candidates, self._config, now=selection.now)
        ranked, texts = self._picked(repository, candidates, scored, wanted, explain=explain)
        return self._reranked(query, ranked, texts)[:limit], texts

    @staticmethod
    def _picked(
        repository: Repository, candidates: Candidates, scored: Scored, wanted: int, *, explain: bool
    ) -> tuple[list[Ranked], dict[str, Text]]:
        """The best `wanted`, and the texts that were read for it by id."""
        for positions in scored.fronts(wanted):
            texts = repository.read(partial(Catalog.texts, rowids=candidates.keys[positions].tolist()))
            shown = _shown(candidates, texts)
            repeated = repeats(scored, shown)
            if len(shown) - len(repeated) >= wanted:
                break
        return best(scored, shown, repeated, wanted, explain=explain), {text.id: text for text in texts}

    # --- candidates ----------------------------------------------------------------------------------------

    def _words(self, catalog: Catalog, query: Query, selection: Selection, among: Matching | None) -> dict[int, float]:
        """BM25 by row of the entries that share words with the query."""
        config = self._config
        entries = sum(catalog.tier_counts().values())
        most = max(config.posting_floor, config.posting_ceiling)
        counts = catalog.document_frequency(query.terms, entries, most + 1)
        share = min(config.posting_ceiling, int(entries * config.posting_share))
        terms = select_terms(query.terms, counts, max(config.posting_floor, share))
        unknown = stems([word for word in query.terms if word not in counts])
        repaired = [self._repaired(catalog, stem) for stem in unknown.values()]
        limit = self._config.lexical_candidates
        needed = needed_terms(terms, counts, _ENOUGH * limit)
        slips = [word for word in repaired if word]
        counts |= catalog.document_frequency(slips, entries, most + 1)
        return catalog.words_matching(
            {word: counts[word] for word in [*terms, *slips] if word in counts},
            selection,
            self._config.column_weights,
            limit,
            among=_rows(among),
            needed=[*needed, *slips] if len(needed) < len(terms) else (),
        )

    @staticmethod
    def _repaired(catalog: Catalog, stem: str) -> str | None:
        """The word that was probably meant by one that nobody ever wrote."""
        return repair_term(stem, catalog.vocabulary(stem[:2], len(stem) - 1, len(stem) + 1))

    def _plans(
        self, repository: Repository, selection: Selection, among: Matching | None
    ) -> dict[MemoryType, DensePlan]:
        """How the nearest are found in each tier that holds anything."""
        totals = repository.read(lambda catalog: catalog.stored_counts())
        wanted = self._config.dense_candidates
        return {
            tier: plan_dense(totals[tier], totals[tier] if among is None else len(among[tier]), wanted)
            for tier in selection.tiers
            if totals[tier]
        }

    @staticmethod
    def _indexed(
        repository: Repository, vector: Vector, plans: Mapping[MemoryType, DensePlan]
    ) -> dict[MemoryType, list[str]]:
        """What Chroma's index says where it is asked, nearest first."""
        store, namespace = repository.store, repository.namespace
        asked = {tier: plan.top_k for tier, plan in plans.items() if not plan.exact}
        return {tier: [i for i, _ in store.query(namespace, tier, vector, top_k)] for tier, top_k in asked.items()}

    def _near(
        self,
        repository: Repository,
        vector: Vector,
        selection: Selection,
        plan: DensePlan,
        ids: list[str] | None,
        among: Matching | None,
    ) -> list[int]:
        """Rows of one tier whose vectors are nearest to the query's."""
        wanted = self._config.dense_candidates
        matching = None if among is None else among[selection.tiers[0]]
        if ids is not None:
            rows = repository.read(lambda catalog: catalog.rowids(selection, ids))
            if len(rows) >= wanted or len(ids) < plan.top_k or matching is None:
                return [rows[i] for i in ids if i in rows][:wanted]
        return repository.read(lambda catalog: catalog.exact(vector, selection, wanted, matching))

    # --- after ranking -------------------------------------------------------------------------------------

    def _reranked(self, query: Query, ranked: list[Ranked], texts: dict[str, Text]) -> list[Ranked]:
        reranker = self._runtime.reranker
        if reranker is None or not ranked:
            return ranked
        top = ranked[: self._config.rerank_candidates]
        scores = _reranking(reranker, query.text, [_attributed(texts[r.passage or r.id]) for r in top])
        if len(scores) != len(top):
            raise RerankError(
                f"the reranker returned {len(scores)} scores for {len(top)} texts; it must return one each"
            )
        return blend(ranked, scores, weight=self._config.rerank_weight)


def _reranking(reranker: Reranker, query: str, texts: list[str]) -> list[float]:
    """The reranker's scores.

    Raises:
        RerankError: It failed, or returned something that is not a finite number.
    """
    try:
        scores = [float(score) for score in reranker.rerank(query, texts)]
    except Exception as error:
        raise RerankError(f"the reranker failed on {len(texts)} texts: {error}") from error
    if not all(map(math.isfinite, scores)):
        raise RerankError(f"the reranker returned a score that is not finite: {scores!r:.80}")
    return scores


def _matching(catalog: Catalog, selection: Selection) -> Matching | None:
    """The rows of a selection by tier; None if nothing but tiers selects, for that would be nearly all."""
    if selection.filter is None:
        return None
    return catalog.rows(selection)


def _rows(among: Matching | None) -> Rows | None:
    return None if among is None else np.sort(np.concatenate(list(among.values())))


def _cued(catalog: Catalog, query: Query, candidates: Candidates) -> Candidates:
    """With what tells what the query asks for, read from the texts."""
    contents = {text.rowid: text.content for text in catalog.texts(candidates.keys.tolist())}
    return candidates.with_cued(told(query, [contents.get(row, "") for row in candidates.keys.tolist()]))


def _shown(candidates: Candidates, texts: Sequence[Text]) -> list[Shown]:
    position = {row: i for i, row in enumerate(candidates.keys.tolist())}
    return [Shown(position[text.rowid], text.id, text.content, text.whole) for text in texts]


def _told(entry: MemoryEntry, ranked: Ranked, texts: dict[str, Text], *, explain: bool) -> MemoryEntry:
    """With what search knows of it: the parts of its score, the passage that was found, how far it is believed."""
    parts = {**ranked.parts, "trust": entry.trust, **({"suspicious": 1.0} if entry.suspicious else {})}
    return entry.with_changes(explain=parts if explain else None, passage=_span(entry, ranked, texts))


def _span(entry: MemoryEntry, ranked: Ranked, texts: dict[str, Text]) -> tuple[int, int] | None:
    """Where in a long entry the passage is that was found."""
    if ranked.passage is None:
        return None
    content = texts[ranked.passage].content
    start = entry.content.find(content)
    return (start, start + len(content)) if start >= 0 else None


def _attributed(text: Text) -> str:
    return f"{text.speaker}: {text.content}" if text.speaker else text.content
