"""memory-mgr beside what people use today: the same texts, the same vectors, one machine, one run.

scripts/bench_env.sh FOLDER
python benchmarks/peers.py --envs FOLDER [--sizes 1000 10000 50000] [--data LOCOMO] [--json OUT] [--plots FOLDER]

Each peer runs in the environment made for it. Vectors are made at next to no cost, so that what is measured is the
memory and not the model. Bulk loading uses the fastest way a peer has, single operations the way it is meant to be
used. Every peer gets ten tenants; a search is for one of them. With `--data`, recall on LoCoMo with the default model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from peer_adapters import PEERS, Embed, Entry, Peer, add_together

ROOT = Path(__file__).resolve().parent.parent
QUERIES, SINGLE, TOGETHER, BATCH = 40, 24, 64, 500
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
)
TENANTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, help="what scripts/bench_env.sh made")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--data", type=Path, help="LoCoMo's JSON, for recall")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plots", type=Path, help="folder for one SVG a workload")
    parser.add_argument("--work", nargs=2, metavar=("PEER", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        name, size = arguments.work[0], int(arguments.work[1])
        print(json.dumps(recall(name, arguments.data) if arguments.data else measured(name, size)))
        return
    results = [row for size in arguments.sizes for name in arguments.peers if (row := run(arguments.envs, name, size))]
    if arguments.data:
        results += [row for name in arguments.peers if (row := run(arguments.envs, name, 0, arguments.data))]
    report = {"command": "python benchmarks/peers.py --envs FOLDER", "results": results}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.plots:
        from peer_plots import plot

        plot(results, arguments.plots)


def run(envs: Path, name: str, size: int, data: Path | None = None) -> dict[str, Any] | None:
    """One peer at one size in its environment; None, with the reason on the terminal, if it fails."""
    python = envs / PEERS[name][0] / "bin" / "python"
    command = [str(python), __file__, "--work", name, str(size), *(["--data", str(data)] if data else [])]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'core'}:{ROOT / 'benchmarks'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name} at {size}: failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr, flush=True)
        return None
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(json.dumps(row), flush=True)
    return row


# --- in the peer's environment ----------------------------------------------------------------------------------


def measured(name: str, size: int) -> dict[str, Any]:
    """All workloads of one peer at one size."""
    import synthetic

    embed: Embed = lambda texts: synthetic.embedder().embed(texts, kind="document")  # noqa: E731
    entries = [
        Entry(text, f"tenant-{n % TENANTS}", f"stream-{n % 200}")
        for n, text in enumerate(synthetic.texts(size + SINGLE + TOGETHER + BATCH))
    ]
    asked = synthetic.questions(QUERIES)
    with tempfile.TemporaryDirectory() as folder:
        peer = PEERS[name][1](Path(folder), embed)
        row: dict[str, Any] = {"peer": name, "entries": size, "versions": versions()}
        row["load_s"] = seconds(lambda: peer.load(entries[:size]))
        row |= writes(peer, [entry._replace(tenant="tenant-3") for entry in entries[size:]])
        row["rss"] = synthetic.rss_bytes()
        row["bytes_per_entry"] = on_disk(Path(folder)) / len(entries)
        row |= searches(peer, asked)
        peer.close()
        child = f"from peers import reopened; from pathlib import Path; reopened({name!r}, Path({folder!r}))"
        done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
        row["reopen_s"] = float(done.stdout.split()[-1]) if done.returncode == 0 else None
        return row


def reopened(name: str, folder: Path) -> None:
    """Print how long a new process takes to open what is there and to search once, imports aside."""
    import synthetic

    embed: Embed = lambda texts: synthetic.embedder().embed(texts, kind="document")  # noqa: E731
    with tempfile.TemporaryDirectory() as other:
        PEERS[name][1](Path(other), embed).close()
    print(seconds(lambda: PEERS[name][1](folder, embed).search("a first search", "tenant-1", None)))


def writes(peer: Peer, entries: Sequence[Entry]) -> dict[str, float]:
    single, together, batch = entries[:SINGLE], entries[SINGLE : SINGLE + TOGETHER], entries[SINGLE + TOGETHER :]
    cpu = time.process_time()
    each = [seconds(lambda e=entry: peer.add(e)) for entry in single]
    row = {"add_cpu_ms": (time.process_time() - cpu) / len(single) * 1000}
    row |= {"add_p50_ms": float(np.median(each)) * 1000, "add_p95_ms": float(np.quantile(each, 0.95)) * 1000}
    row["together_per_s"] = TOGETHER / seconds(lambda: add_together(peer, together))
    row["batch_per_s"] = len(batch) / seconds(lambda: peer.load(batch))
    return row


def searches(peer: Peer, asked: Sequence[str]) -> dict[str, float]:
    calls: dict[str, Callable[[str], Any]] = {
        "search_tenant": lambda q: peer.search(q, "tenant-3", None),
        "search_conversation": lambda q: peer.search(q, "tenant-3", "stream-13"),
    }
    if hasattr(peer, "limit"):
        calls["search_limit"] = peer.limit
    if hasattr(peer, "context"):
        calls["context"] = lambda q: peer.context(q, "tenant-3")
    row = {}
    for name, call in calls.items():
        try:
            call(asked[0])
        except NotImplementedError:
            continue
        cpu = time.process_time()
        taken = [seconds(lambda q=q, call=call: call(q)) * 1000 for q in asked]
        row[f"{name}_cpu_ms"] = (time.process_time() - cpu) / len(asked) * 1000
        row |= {f"{name}_p50_ms": float(np.median(taken)), f"{name}_p95_ms": float(np.quantile(taken, 0.95))}
    return row


def recall(name: str, data: Path) -> dict[str, Any]:
    """R@5 and R@10 of LoCoMo's evidence turns with the default model, one tenant a conversation."""
    from memory_mgr.cli.transcripts import read_transcripts
    from memory_mgr.defaults.embedder import LocalEmbedder

    model = LocalEmbedder()
    embed: Embed = lambda texts: model.embed(texts, kind="document")  # noqa: E731
    found: dict[int, list[float]] = {5: [], 10: []}
    for transcript in read_transcripts(data):
        texts = {m.id: f"{m.name}: {m.content}" for _, m in transcript.turns}
        with tempfile.TemporaryDirectory() as folder:
            peer = PEERS[name][1](Path(folder), embed)
            peer.load([Entry(texts[m.id], transcript.name, session) for session, m in transcript.turns])
            for question in transcript.questions:
                hits = peer.search(question.text, transcript.name, None)
                if len(hits) == 1 and len(transcript.turns) > 10:  # one text of all results, in order
                    hits = sorted((t for t in texts.values() if t in hits[0]), key=hits[0].index)
                for k, scores in found.items():
                    scores.append(float(np.mean([texts[turn] in hits[:k] for turn in question.evidence])))
            peer.close()
    return {"peer": name} | {f"R@{k}": float(np.mean(scores)) for k, scores in found.items()}


def seconds(work: Callable[[], Any]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def versions() -> dict[str, str]:
    told = {}
    for package in PACKAGES:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    return told


if __name__ == "__main__":
    main()
