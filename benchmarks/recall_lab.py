"""Recall experiments: the policies of `memory_mgr` on LoCoMo in seconds, without a store.

    python benchmarks/recall_lab.py --data locomo.json                 # the default configuration, by category
    python benchmarks/recall_lab.py --data locomo.json --config all    # every named configuration: the ablation
    python benchmarks/recall_lab.py --data locomo.json --bursty        # every turn as several short messages
    python benchmarks/recall_lab.py --data locomo.json --perturb upper # also: prompt, typos, keywords
    python benchmarks/recall_lab.py --data locomo.json --tune session_weight=.5,1,1.5 [--tune ...]

Words are matched by a real FTS5 table with the same columns and tokenizer as the catalog's; everything else is
`memory_mgr.policy`. Embeddings are cached in --cache. `--tune` chooses among the given values on all conversations
but one and reports on that one, in turn. The data (CC BY-NC 4.0) is not part of this project.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recall_data import CATEGORIES, METRICS, Conversation, interval, load, perturb, score, session_score

from memory_mgr.defaults.embedder import LocalEmbedder
from memory_mgr.policy import lexical
from memory_mgr.policy.bm25 import Postings, bm25, matched
from memory_mgr.policy.candidates import Item
from memory_mgr.policy.query import Query, analyse
from memory_mgr.policy.recall import rank
from memory_mgr.policy.recall_config import RecallConfig

Vectors = NDArray[np.float32]
_DEPTH = 60
"""Results asked for: enough for five sessions."""

# --- named configurations ----------------------------------------------------------------------------------

_EVIDENCE = ("neighbour", "utterance", "answer", "session", "time", "speaker", "substance", "statement", "cue")
_BARE: dict[str, float] = {f"{name}_weight": 0.0 for name in (*_EVIDENCE, "importance", "recency")}

CONFIGS: dict[str, dict[str, object]] = {
    "default": {},
    "dense only": {**_BARE, "lexical_weight": 0.0, "lexical_candidates": 0},
    "words only": {**_BARE, "dense_weight": 0.0},
    "words + dense": {**_BARE},
    "words + dense + neighbours": {**_BARE, "neighbour_weight": 0.3},
    **{f"without {name}": {f"{name}_weight": 0.0} for name in _EVIDENCE},
    "without dense": {"dense_weight": 0.0},
    "without near and far words": {"column_weights": (1.0, 0.0, 0.0)},
}


# --- the index ---------------------------------------------------------------------------------------------


class Embeddings:
    """Vectors of texts, kept in a folder between runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._embedder = LocalEmbedder()
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, texts: Sequence[str]) -> Vectors:
        """One row a text."""
        key = hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:24]
        file = self._folder / f"{key}.npy"
        if not file.exists():
            np.save(file, np.asarray(self._embedder.embed(list(texts), kind="document"), dtype=np.float32))
        vectors: Vectors = np.load(file)
        return vectors


class Index:
    """One conversation, searchable as the library's catalog is."""

    def __init__(self, conversation: Conversation, embeddings: Embeddings, config: RecallConfig) -> None:
        self.turns = conversation.turns
        self._vectors = embeddings.of([turn.text for turn in self.turns])
        self._db = sqlite3.connect(":memory:")
        columns = ", ".join(lexical.FTS_COLUMNS)
        self._db.execute(f'CREATE VIRTUAL TABLE words USING fts5({columns}, tokenize="{lexical.FTS_TOKENIZER}")')
        self._db.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row)")
        self._db.execute(f'CREATE VIRTUAL TABLE scratch USING fts5(word, tokenize="{lexical.FTS_TOKENIZER}")')
        self._db.execute("CREATE VIRTUAL TABLE stems USING fts5vocab(scratch, instance)")
        for i, turn in enumerate(self.turns):
            near, far = lexical.context_columns(self._before(i, config.context_entries), turn.timestamp, config)
            self._db.execute(
                "INSERT INTO words(rowid, own, near, far) VALUES (?, ?, ?, ?)",
                (i, lexical.index_text(turn.text), near, far),
            )
        self._db.execute("CREATE VIRTUAL TABLE instances USING fts5vocab(words, instance)")
        self._lengths = np.zeros(len(self.turns), np.int32)
        for i, length in self._db.execute("SELECT doc, count(*) FROM instances GROUP BY doc"):
            self._lengths[i] = length

    def _before(self, i: int, count: int) -> list[lexical.Said]:
        earlier = (self.turns[j] for j in range(i - 1, max(-1, i - 1 - count), -1))
        same = itertools.takewhile(lambda turn: turn.session == self.turns[i].session, earlier)
        return [lexical.Said(turn.text, turn.timestamp) for turn in same]

    def words_matching(self, query: Query, config: RecallConfig) -> dict[int, float]:
        """bm25 of the best lexical candidates."""
        if not config.lexical_candidates:
            return {}
        words = [self._postings(word) for word in dict.fromkeys([*query.terms, *self._repaired(query.terms)])]
        found = [word for word in words if word.count]
        rows, mean = matched(found), float(self._lengths.mean())
        weights = config.column_weights
        scores = bm25(rows, self._lengths[rows], found, weights, among=len(self.turns), mean_length=mean)
        best = np.argsort(-scores, kind="stable")[: config.lexical_candidates]
        return dict(zip(rows[best].tolist(), scores[best].tolist(), strict=True))

    def _postings(self, word: str) -> Postings:
        if not (expression := lexical.match_expression([word])):
            return Postings([], 0)
        found = [
            self._db.execute("SELECT rowid FROM words WHERE words MATCH ?", (f"{column} : ({expression})",)).fetchall()
            for column in lexical.FTS_COLUMNS
        ]
        columns = [np.array(rows, np.int64).reshape(-1) for rows in found]
        return Postings(columns, len({*chain.from_iterable(found)}))

    def _repaired(self, terms: Sequence[str]) -> list[str]:
        found = []
        for term in terms:
            stem = self._stem(term)
            if stem and not self._db.execute("SELECT 1 FROM vocabulary WHERE term = ?", (stem,)).fetchone():
                near = self._db.execute(
                    "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? LIMIT 2000",
                    (stem[:2], stem[:2] + "\U0010ffff"),
                )
                found.append(lexical.repair_term(stem, near))
        return [term for term in found if term]

    def _stem(self, term: str) -> str | None:
        self._db.execute("DELETE FROM scratch")
        self._db.execute("INSERT INTO scratch VALUES (?)", (term,))
        row = self._db.execute("SELECT term FROM stems").fetchone()
        return row[0] if row else None

    def pool(self, query: Query, vector: Vectors, config: RecallConfig) -> list[Item]:
        """Candidates of both kinds and their neighbours, as the engine hands them to `rank`."""
        matching = self.words_matching(query, config)
        cosines = self._vectors @ vector
        near = np.argsort(-cosines, kind="stable")[: config.dense_candidates]
        hits = {*matching, *map(int, near)}
        around = {j for i in hits for j in (self._beside(i, -1), self._beside(i, 1)) if j is not None}
        return [self._item(i, float(cosines[i]), matching.get(i, 0.0)) for i in sorted(hits | around)]

    def _beside(self, i: int, step: int) -> int | None:
        j = i + step
        inside = 0 <= j < len(self.turns) and self.turns[j].session == self.turns[i].session
        return j if inside else None

    def _item(self, i: int, cosine: float, bm25: float) -> Item:
        turn, before, after = self.turns[i], self._beside(i, -1), self._beside(i, 1)
        return Item(
            id=str(i), content=turn.text, timestamp=turn.timestamp.timestamp(), source=turn.session,
            dense=cosine, lexical=bm25,
            previous_id=None if before is None else str(before), next_id=None if after is None else str(after),
        )  # fmt: skip


# --- one run -----------------------------------------------------------------------------------------------


@dataclass
class Result:
    """Rows of `METRICS` by question, with category, conversation and session-level scores beside them."""

    values: NDArray[np.float64]
    category: NDArray[np.int64]
    conversation: NDArray[np.int64]
    sessions: NDArray[np.float64]
    rank_ms: float

    def mean(self, metric: str, where: NDArray[np.bool_] | None = None) -> float:
        """The mean of a metric over all questions or those of a mask."""
        column = self.values[:, METRICS.index(metric)]
        return float((column if where is None else column[where]).mean())


class Lab:
    """Conversations with their indexes and pools, kept as far as a configuration allows."""

    def __init__(self, conversations: list[Conversation], embeddings: Embeddings) -> None:
        self.conversations = conversations
        self._embeddings = embeddings
        self._pools: dict[tuple[object, ...], list[list[tuple[Query, list[Item]]]]] = {}

    def run(self, config: RecallConfig) -> Result:
        """Every question once."""
        values, category, home, sessions, spent = [], [], [], [], 0.0
        for number, (conversation, pools) in enumerate(zip(self.conversations, self._prepared(config), strict=True)):
            now = conversation.turns[-1].timestamp + timedelta(days=1)
            for question, (query, items) in zip(conversation.questions, pools, strict=True):
                start = time.perf_counter()
                ranking = [int(r.id) for r in rank(query, items, config, now=now, limit=_DEPTH)]
                spent += time.perf_counter() - start
                values.append(score(ranking, question))
                sessions.append(session_score(ranking, question, conversation.turns))
                category.append(question.category)
                home.append(number)
        return Result(
            np.array(values), np.array(category), np.array(home), np.array(sessions), 1000 * spent / len(values)
        )

    def _prepared(self, config: RecallConfig) -> list[list[tuple[Query, list[Item]]]]:
        key = tuple(v for k, v in config.model_dump().items() if not k.endswith("_weight") and not isinstance(v, dict))
        if key not in self._pools:
            self._pools[key] = [self._pools_of(c, config) for c in self.conversations]
        return self._pools[key]

    def _pools_of(self, conversation: Conversation, config: RecallConfig) -> list[tuple[Query, list[Item]]]:
        index = Index(conversation, self._embeddings, config)
        queries = [analyse(q.text, now=None, config=config) for q in conversation.questions]
        vectors = self._embeddings.of([q.text for q in queries])
        return [(q, index.pool(q, v, config)) for q, v in zip(queries, vectors, strict=True)]


# --- reports -----------------------------------------------------------------------------------------------


def table_row(name: str, result: Result) -> str:
    """One line of the ablation table."""
    cells = [result.mean(m) for m in ("R@5", "R@10", "R@20", "any@10", "all@10", "turn@10")]
    cells += [result.mean("R@10", result.category == c) for c in CATEGORIES]
    cells += [result.mean("R@10", result.conversation == n) for n in range(int(result.conversation.max()) + 1)]
    return f"| {name} | " + " | ".join(f"{c:.3f}" for c in cells) + " |"


def table_head(lab: Lab) -> str:
    """The head of the ablation table."""
    names = ["configuration", "R@5", "R@10", "R@20", "any@10", "all@10", "turn@10"]
    names += [f"cat {c}" for c in CATEGORIES] + [c.name for c in lab.conversations]
    return "| " + " | ".join(names) + " |\n|" + "---|" * len(names)


def details(result: Result) -> str:
    """Intervals, all metrics by category, and the session level."""
    low, high = interval(result.values[:, METRICS.index("R@10")])
    lines = [
        f"R@10 {result.mean('R@10'):.3f}, 95 % bootstrap interval {low:.3f} to {high:.3f}",
        f"rank() {result.rank_ms:.1f} ms",
    ]
    for number, label in CATEGORIES.items():
        mask = result.category == number
        shown = ", ".join(f"{m} {result.mean(m, mask):.3f}" for m in ("R@5", "R@10", "any@10", "all@10"))
        lines.append(f"category {number} ({label}, {int(mask.sum())} questions): {shown}")
    recall, some, every = result.sessions.mean(axis=0)
    lines.append(f"sessions: R@5 {recall:.3f}, any@5 {some:.3f}, all@5 {every:.3f}")
    return "\n".join(lines)


def tune(lab: Lab, grid: dict[str, list[float]]) -> str:
    """Leave one conversation out: choose settings on the others, report on it."""
    settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    results = [lab.run(RecallConfig(**chosen)) for chosen in settings]
    lines, held_out = [], []
    for number, conversation in enumerate(lab.conversations):
        others = [r.mean("R@10", r.conversation != number) for r in results]
        best = int(np.argmax(others))
        held_out.append(results[best].values[results[best].conversation == number][:, METRICS.index("R@10")])
        lines.append(f"{conversation.name}: {settings[best]} -> R@10 {held_out[-1].mean():.3f}")
    lines.append(f"held out: R@10 {np.concatenate(held_out).mean():.3f}")
    lines += [f"{chosen}: R@10 {r.mean('R@10'):.3f}" for chosen, r in zip(settings, results, strict=True)]
    return "\n".join(lines)


def misses(lab: Lab, result: Result, category: int) -> str:
    """The questions of a category with evidence missing at 10."""
    questions = [q for c in lab.conversations for q in c.questions]
    found = result.values[:, METRICS.index("R@10")]
    return "\n".join(
        f"{v:.2f} {q.text}" for q, v in zip(questions, found, strict=True) if q.category == category and v < 1
    )


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    if not options.data.exists():
        print(f"no data at {options.data}; LoCoMo is at github.com/snap-research/locomo", file=sys.stderr)
        return 2
    conversations = load(options.data, bursty=options.bursty)
    if options.perturb:
        conversations = perturb(conversations, options.perturb)
    lab = Lab(conversations, Embeddings(options.cache))
    if options.tune:
        print(
            tune(
                lab,
                {name: [float(v) for v in values.split(",")] for name, values in (t.split("=") for t in options.tune)},
            )
        )
        return 0
    print(table_head(lab))
    for name in CONFIGS if options.config == "all" else [options.config]:
        result = lab.run(RecallConfig(**CONFIGS[name]))
        print(table_row(name, result), flush=True)
    if options.config != "all":
        print(details(result))
    if options.misses:
        print(misses(lab, result, options.misses))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="LoCoMo JSON file")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "recall_lab", help="folder for embeddings"
    )
    parser.add_argument("--config", default="default", choices=[*CONFIGS, "all"])
    parser.add_argument("--bursty", action="store_true")
    parser.add_argument("--perturb", choices=["prompt", "upper", "typos", "keywords"])
    parser.add_argument("--tune", action="append", metavar="SETTING=V,V")
    parser.add_argument("--misses", type=int, choices=list(CATEGORIES), help="print missed questions of a category")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
