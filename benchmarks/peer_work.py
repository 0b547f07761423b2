"""What one peer does in its own environment: the workloads at one size, reopening, recall."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import peer_frameworks
import synthetic
from circumstances import versions
from peer_adapters import TOGETHER, TOP_K, Entry, Ours, Peer, RawChroma, Wanted

PEERS: dict[str, tuple[str, type[Peer]]] = {
    "memory-mgr": ("ours", Ours),
    "raw Chroma": ("ours", RawChroma),
    "mem0": ("mem0", peer_frameworks.Mem0),
    "LangChain": ("langchain", peer_frameworks.LangChainMemory),
    "LlamaIndex": ("llamaindex", peer_frameworks.LlamaIndexMemory),
    "LangGraph InMemoryStore": ("langgraph", peer_frameworks.LangGraphStore),
    "LangGraph SqliteStore": ("langgraph", peer_frameworks.LangGraphSqliteStore),
}
"""Name to (environment, class)."""
PACKAGES = (
    "chromadb",
    "langchain-chroma",
    "langchain-classic",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "llama-index-core",
    "llama-index-vector-stores-chroma",
    "mem0ai",
    "memory-mgr",
    "numpy",
    "sqlite-vec",
)
COUNTS = {"queries": 60, "single": 64, "together": TOGETHER, "batch": 500, "rounds": 3}
"""How often each is done; `queries` for every kind of search, `rounds` of single adds and adds together by turns."""
FURTHER = COUNTS["rounds"] * (COUNTS["single"] + COUNTS["together"]) + COUNTS["batch"]
"""Entries added after loading."""
TENANTS, STREAMS, MINUTE, START = 10, 200, 60, 1_767_225_600
"""As `synthetic.memories`: ten tenants, twenty conversations each, a minute between entries."""
SEARCHES = ("tenant", "conversation", "time_range")


def entries(count: int) -> list[Entry]:
    return [
        Entry(text, f"tenant-{n % TENANTS}", f"stream-{n % STREAMS}", START + n * MINUTE)
        for n, text in enumerate(synthetic.texts(count))
    ]


def wanted(kind: str, size: int) -> Wanted:
    """The middle fifth of the time is the time range."""
    if kind == "conversation":
        return Wanted("tenant-3", source="stream-13")
    if kind == "time_range":
        return Wanted("tenant-3", since=START + int(size * 0.4) * MINUTE, until=START + int(size * 0.6) * MINUTE)
    return Wanted("tenant-3")


def measured(name: str, size: int) -> dict[str, Any]:
    """All workloads of one peer at one size."""
    loaded, further = _split(entries(size + FURTHER), size)
    row: dict[str, Any] = {"peer": name, "entries": size, "counts": COUNTS, "versions": versions(PACKAGES)}
    with tempfile.TemporaryDirectory() as folder:
        vectors = Vectors()
        peer = PEERS[name][1](Path(folder), vectors)
        row["load_per_s"] = size / seconds(lambda: peer.load(loaded))
        _say(f"loaded, {row['load_per_s']:.0f}/s")
        row |= checked(peer, loaded)
        row |= searches(peer, size)
        with vectors.with_model():
            row |= searches(peer, size, "embedded_", ("search_tenant", "search_limit"))
        row |= writes(peer, further)
        row["rss"] = synthetic.rss_bytes()
        peer.close()
        row["bytes_per_entry"] = _on_disk(Path(folder)) / (size + len(further)) if peer.persistent else None
        row["reopen_s"] = _reopened_elsewhere(name, Path(folder)) if peer.persistent else None
    return row


def _split(told: list[Entry], size: int) -> tuple[list[Entry], list[Entry]]:
    return told[:size], [entry._replace(tenant="tenant-3", source="stream-13") for entry in told[size:]]


class Vectors:
    """Vectors at next to no cost, so that the memory is measured and not the model.

    `with_model` lets the default model embed each text too, for what a search takes as it is used.
    """

    def __init__(self) -> None:
        self._model: Any = None

    def __call__(self, texts: Sequence[str]) -> Any:
        if self._model is not None:
            self._model.embed(texts, kind="query")
        return synthetic.embedder().embed(texts, kind="document")

    @contextmanager
    def with_model(self) -> Iterator[None]:
        from memory_mgr.defaults.embedder import LocalEmbedder

        self._model = LocalEmbedder()
        self(["warm up"])
        try:
            yield
        finally:
            self._model = None


def checked(peer: Peer, loaded: Sequence[Entry]) -> dict[str, Any]:
    """That it works: the ten found belong where they were looked for, and what is asked for word by word is there.

    Returns:
        "found": for each kind of search how many results came.

    Raises:
        AssertionError: It does not.
    """
    found = {}
    for kind in SEARCHES:
        where = wanted(kind, len(loaded))
        there = [entry for entry in loaded if where.has(entry)]
        try:
            hits = peer.search(there[0].text, where)
        except NotImplementedError:
            continue
        strangers = [hit for hit in hits if not any(entry.text in hit for entry in there)]
        assert not strangers, f"{kind}: found {strangers[0]!r}, which is not there"
        assert there[0].text in hits[0], f"{kind}: the entry itself is not the first result"
        found[kind] = len(hits)
        assert len(hits) == min(TOP_K, len(there)), f"{kind}: {len(hits)} results of {len(there)} entries"
    return {"found": found}


def writes(peer: Peer, further: Sequence[Entry]) -> dict[str, Any]:
    """One at a time, at once, in a batch; how much of what was added is found is told beside.

    Of the rounds the median counts: now and then an index is saved, whoever's turn it is.
    """
    left = iter(further)
    alone, at_once = [], []
    for _ in range(COUNTS["rounds"]):
        single, together = list(islice(left, COUNTS["single"])), list(islice(left, COUNTS["together"]))
        alone.append(_times("add", peer.add, single))
        at_once.append(seconds(lambda some=together: asyncio.run(_all_at_once(peer, some))))
    batch = list(left)
    row: dict[str, Any] = {name: float(np.median([times[name] for times in alone])) for name in alone[0]}
    row["add_per_s"] = len(single) / row.pop("add_total_s")
    row["together_per_s"] = len(together) / float(np.median(at_once))
    row["together_by"] = "threads" if type(peer).add_async is Peer.add_async else "its async methods"
    row["batch_per_s"] = len(batch) / seconds(lambda: peer.batch(batch))
    row["added_found"] = found = {
        name: _share_found(peer, some) for name, some in (("one", single), ("at once", together), ("batch", batch))
    }
    assert any(found.values()), "nothing of what was added is found again"
    _say(f"one {row['add_per_s']:.0f}/s, at once {row['together_per_s']:.0f}/s, batch {row['batch_per_s']:.0f}/s")
    return row


def _share_found(peer: Peer, some: Sequence[Entry], of: int = 10) -> float:
    """How many of the last ones a search for their own words finds; an approximate index misses a few."""
    asked = some[-of:]
    return sum(any(e.text in hit for hit in peer.search(e.text, Wanted(e.tenant))) for e in asked) / len(asked)


async def _all_at_once(peer: Peer, some: Sequence[Entry]) -> None:
    await asyncio.gather(*(peer.add_async(entry) for entry in some))


def searches(peer: Peer, size: int, prefix: str = "", only: Sequence[str] = ()) -> dict[str, float]:
    """Every kind of search, the context for a prompt, and for raw Chroma the search without a filter.

    Args:
        peer: Asked.
        size: Entries it holds.
        prefix: Put before the names of the results.
        only: The kinds to ask for, all if empty.
    """
    calls: dict[str, Callable[[str], Any]] = {
        f"search_{kind}": partial(peer.search, wanted=wanted(kind, size)) for kind in SEARCHES
    }
    calls["context"] = lambda q: peer.context(q, "tenant-3")
    if isinstance(peer, RawChroma):
        calls["search_limit"] = peer.limit
    row: dict[str, float] = {}
    asked = synthetic.questions(COUNTS["queries"])
    for kind in only or calls:
        if (call := calls.get(kind)) is None:
            continue
        try:
            call("the first one warms up")
        except NotImplementedError:
            continue
        name = prefix + kind
        row |= _times(name, call, asked)
        _say(f"{name} {row[f'{name}_p50_ms']:.1f} ms")
    return row


def _times(name: str, call: Callable[[Any], Any], inputs: Sequence[Any]) -> dict[str, float]:
    cpu = time.process_time()
    taken = np.array([seconds(lambda one=one: call(one)) for one in inputs])
    cpu = time.process_time() - cpu
    return {
        f"{name}_p50_ms": float(np.median(taken)) * 1000,
        f"{name}_p95_ms": float(np.quantile(taken, 0.95)) * 1000,
        f"{name}_cpu_ms": cpu / len(inputs) * 1000,
        f"{name}_total_s": float(taken.sum()),
    }


# --- a new process ------------------------------------------------------------------------------------------------


def _reopened_elsewhere(name: str, folder: Path) -> float:
    child = f"from peer_work import reopened; from pathlib import Path; reopened({name!r}, Path({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    taken: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    _say(f"reopened in {taken['seconds']:.2f} s")
    return taken["seconds"]


def reopened(name: str, folder: Path) -> None:
    """Print how long it takes to open what is there and to search once, imports aside."""
    opened = PEERS[name][1]
    with tempfile.TemporaryDirectory() as other, closing(opened(Path(other), Vectors())):
        pass
    before = time.perf_counter()
    peer = opened(folder, Vectors())
    hits = peer.search("a first search", Wanted("tenant-1"))
    taken = time.perf_counter() - before
    assert len(hits) == TOP_K, f"{len(hits)} results after reopening"
    peer.close()
    print(json.dumps({"seconds": taken}))


# --- with the default model ---------------------------------------------------------------------------------------


def recalled(name: str, data: Path) -> dict[str, Any]:
    """R@5 and R@10 of LoCoMo's evidence turns with the default model, and how fast the turns are taken in with it.

    A conversation is a tenant.
    """
    from memory_mgr.cli.transcripts import read_transcripts
    from memory_mgr.defaults.embedder import LocalEmbedder

    model = LocalEmbedder()
    model.embed(["warm up"], kind="document")
    found: dict[int, list[float]] = {5: [], 10: []}
    turns, taken = 0, 0.0
    for transcript in read_transcripts(data):
        told = [
            Entry(f"{m.name}: {m.content}", transcript.name, session, int(m.timestamp.timestamp()))
            for session, m in transcript.turns
            if m.timestamp is not None
        ]
        texts = {m.id: entry.text for (_, m), entry in zip(transcript.turns, told, strict=True)}
        with (
            tempfile.TemporaryDirectory() as folder,
            closing(PEERS[name][1](Path(folder), lambda some: model.embed(some, kind="document"))) as peer,
        ):
            taken += seconds(lambda peer=peer, told=told: peer.load(told))
            turns += len(told)
            for question in transcript.questions:
                hits = peer.search(question.text, Wanted(transcript.name))
                for k, scores in found.items():
                    scores.append(float(np.mean([texts[turn] in hits[:k] for turn in question.evidence])))
        _say(f"{transcript.name}: R@10 {np.mean(found[10]):.3f} so far")
    row: dict[str, Any] = {"peer": name, "questions": len(found[10]), "embedded_load_per_s": turns / taken}
    return row | {f"R@{k}": float(np.mean(scores)) for k, scores in found.items()}


def seconds(work: Callable[[], Any]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _say(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)
