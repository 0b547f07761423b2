"""How many attacks in memory are fenced and flagged, and how often ordinary talk is flagged.

PYTHONPATH=tests/security python benchmarks/poisoning.py --locomo LOCOMO.json [--json OUT]

`attacks` is the corpus that the patterns were written with, so its rate says that they work, not how well they
generalise. `attacks_unseen` was written afterwards; its texts have not been read since, but the rules of kinds of words
were made while its rate was watched. `attacks_fresh` was written after those rules and only measured: what to expect of
attacks in new words. `attacks_blind` was written by somebody who knew neither patterns nor corpora; the patterns were
then extended by what they missed of the lines with even numbers, counted from 0, and those with odd numbers were only
measured. `ordinary` is talk about the same things without an attack, which patterns and rules were corrected by,
`ordinary_blind` such talk that was only measured. LoCoMo's turns are ordinary conversation that nothing was fitted to.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from fence import HERE, broken, texts
from recall_data import load

from memory_mgr import NewMemory, SyncMemoryManager
from memory_mgr.policy.suspicion import suspicions
from memory_mgr.testing import FakeEmbedder

ATTACKS = ("attacks", "attacks_unseen", "attacks_fresh", "attacks_blind")


def fenced(attacks: list[str]) -> int:
    """How many attacks stay inside the block when they are recalled."""
    with (
        TemporaryDirectory() as folder,
        SyncMemoryManager(path=folder, embedder=FakeEmbedder()) as memory,
    ):
        memory.add_memories([NewMemory(content=text, source=f"s{n}") for n, text in enumerate(attacks)])
        contexts = (memory.build_context(text, 5_000, filters={"source": f"s{n}"}) for n, text in enumerate(attacks))
        return sum(len(context.entries) == 1 and broken(context.text) is None for context in contexts)


def rate(flagged: int, total: int) -> dict[str, float]:
    return {"texts": total, "flagged": flagged, "rate": round(flagged / total, 4)}


def flagged(corpus: list[str]) -> dict[str, float]:
    return rate(sum(bool(suspicions(text)) for text in corpus), len(corpus))


def families(name: str) -> dict[str, str]:
    """Flagged of all, by family."""
    lines = [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    total = Counter(line["family"] for line in lines)
    caught = Counter(line["family"] for line in lines if suspicions(line["text"]))
    return {family: f"{caught[family]}/{count}" for family, count in total.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locomo", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    turns = [turn.text for conversation in load(arguments.locomo) for turn in conversation.turns]
    alarms = sum(bool(suspicions(turn)) for turn in turns)
    start = time.process_time()
    for turn in turns:
        suspicions(turn)
    milliseconds = (time.process_time() - start) / len(turns) * 1000
    report: dict = {
        "command": f"PYTHONPATH=tests/security python benchmarks/poisoning.py --locomo {arguments.locomo.name}",
        "versions": {"memory-mgr": version("memory-mgr"), "python": sys.version.split()[0]},
        "milliseconds_of_processor_a_turn": round(milliseconds, 3),
    }
    for name in ATTACKS:
        corpus = texts(name)
        report[name] = flagged(corpus) | {"fenced": fenced(corpus), "families": families(name)}
    report["attacks_blind_only_measured"] = flagged(texts("attacks_blind")[1::2])
    report["all_attacks"] = flagged([text for name in ATTACKS for text in texts(name)])
    for name in ("ordinary", "ordinary_blind"):
        report[name] = flagged(texts(name))
    report["locomo_turns"] = rate(alarms, len(turns))
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
