"""Many client processes on one real Chroma server: nothing lost, nothing doubled, all agree within two seconds.

python benchmarks/clients.py [--together 8] [--apart 8] [--count 30] [--json OUT]

`--together` processes write to one namespace and `--apart` to namespaces of their own, two threads each; a third of
what they write is changed, a third deleted. Each sees its own writes at once; when all are through, each must find
exactly what all clients of its namespace left there. Ends with an error if one does not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import synthetic

from tests.server import chroma_server
from tests.shared.test_clients import check_processes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--together", type=int, default=8)
    parser.add_argument("--apart", type=int, default=8)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    namespaces = ["together"] * arguments.together + [f"apart-{n}" for n in range(arguments.apart)]
    with tempfile.TemporaryDirectory() as folder, chroma_server(Path(folder)) as url:
        started = time.perf_counter()
        check_processes(url, namespaces, arguments.count)
        seconds = time.perf_counter() - started
    report = {
        "command": f"python benchmarks/clients.py --together {arguments.together} --apart {arguments.apart}"
        f" --count {arguments.count}",
        "versions": synthetic.versions(),
        "processes": len(namespaces),
        "writes": len(namespaces) * 2 * arguments.count,
        "lost": 0,
        "doubled": 0,
        "seconds": seconds,
    }
    print(json.dumps(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
