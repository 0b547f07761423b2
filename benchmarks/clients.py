"""Many client processes on one real Chroma server: nothing lost, nothing doubled, all agree within two seconds.

python benchmarks/clients.py [--together 8] [--apart 8] [--count 30] [--json OUT]

`--together` processes write to one namespace and `--apart` to namespaces of their own, two threads each; a third of
what they write is changed, a third deleted. Each sees its own writes at once; when all are through, each must find
exactly what all clients of its namespace left there. Meanwhile two more clients of that namespace take the time
from a write or a deletion of the one to when the other sees it. Ends with an error if anything is not as promised.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import synthetic
from circumstances import circumstances
from client_lags import TOGETHER, lags

from tests.server import chroma_server
from tests.shared.test_clients import check_processes

PROMISED_SECONDS = 2.0
"""Within which others see a change."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--together", type=int, default=8)
    parser.add_argument("--apart", type=int, default=8)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    namespaces = [TOGETHER] * arguments.together + [f"apart-{n}" for n in range(arguments.apart)]
    seen_by_others: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, chroma_server(Path(folder)) as url:
        started = time.perf_counter()
        check_processes(url, namespaces, arguments.count, lambda through: seen_by_others.update(lags(url, through)))
        seconds = time.perf_counter() - started
    report = circumstances(
        f"python benchmarks/clients.py --together {arguments.together} --apart {arguments.apart}"
        f" --count {arguments.count}"
    ) | {
        "versions": synthetic.versions(),
        "processes": len(namespaces),
        "writes": len(namespaces) * 2 * arguments.count,
        "lost": 0,
        "doubled": 0,
        "own writes seen": "at once, checked after every one",
        "seen_by_others": seen_by_others,
        "seconds": seconds,
    }
    print(json.dumps(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    late = [what for what, waits in seen_by_others.items() if waits["most_s"] > PROMISED_SECONDS]
    sys.exit(f"seen by others only after more than {PROMISED_SECONDS:.0f} s: {', '.join(late)}" if late else None)


if __name__ == "__main__":
    main()
