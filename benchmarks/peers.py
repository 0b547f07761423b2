"""memory-mgr beside what people use today: the same texts, the same vectors, one machine, one run.

scripts/bench_env.sh FOLDER
python benchmarks/peers.py --envs FOLDER [--sizes 1000 10000 50000] [--data LOCOMO] [--json OUT] [--plots FOLDER]
python benchmarks/peers.py --table benchmarks/results/peers.json [--size 50000]      # for README

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
import time
from pathlib import Path
from typing import Any

from circumstances import circumstances
from peer_table import ratios, table
from peer_work import PEERS, measured, recalled

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments = _arguments()
    if arguments.work:
        name, size = arguments.work[0], int(arguments.work[1])
        print(json.dumps(recalled(name, arguments.data) if arguments.data else measured(name, size)))
        return
    if arguments.table:
        print(table(json.loads(arguments.table.read_text()), arguments.size))
        return
    report = compared(arguments)
    print(json.dumps(report["ratios"], indent=2))
    if arguments.plots:
        from peer_plots import plot

        plot(report["results"], arguments.plots)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, default=Path("/tmp/peers"), help="what scripts/bench_env.sh made")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 50_000])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--data", type=Path, help="LoCoMo's JSON, for recall")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plots", type=Path, help="folder for one SVG a workload")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the table of an earlier run")
    parser.add_argument("--size", type=int, help="entries the table is for; default: the most there are")
    parser.add_argument("--work", nargs=2, metavar=("PEER", "SIZE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def compared(arguments: argparse.Namespace) -> dict[str, Any]:
    """All peers at all sizes, then their recall; written after every step, so that what is done is not lost."""
    given = f"--sizes {' '.join(map(str, arguments.sizes))}" + (" --data LOCOMO" if arguments.data else "")
    report = circumstances(f"python benchmarks/peers.py --envs FOLDER {given}")
    report |= {"versions": {}, "ratios": {}, "results": []}
    steps: list[tuple[str, int, Path | None]] = [(name, n, None) for n in arguments.sizes for name in arguments.peers]
    if arguments.data:
        steps += [(name, 0, arguments.data) for name in arguments.peers]
    began = time.perf_counter()
    for number, (name, size, data) in enumerate(steps, 1):
        what = f"{size:,} entries" if data is None else "recall on LoCoMo"
        minutes = (time.perf_counter() - began) / 60
        print(f"[{number}/{len(steps)}, {minutes:.1f} min] {name}: {what}", file=sys.stderr, flush=True)
        row = run(arguments.envs, name, size, data)
        report["versions"] |= row.pop("versions", {})
        report["results"].append(row)
        report["ratios"] = ratios(report["results"])
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return report


def run(envs: Path, name: str, size: int, data: Path | None = None) -> dict[str, Any]:
    """One peer at one size in its environment; if it fails, the row tells why."""
    python = envs / PEERS[name][0] / "bin" / "python"
    command = [str(python), __file__, "--work", name, str(size), *(["--data", str(data)] if data else [])]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'core'}:{ROOT / 'benchmarks'}"}
    last = ""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            last = line.strip() or last
        told = process.stdout.read()
    if process.returncode:
        return {"peer": name, "entries": size, "failed": last}
    row: dict[str, Any] = json.loads(told.strip().splitlines()[-1])
    return row


if __name__ == "__main__":
    main()
