"""What importing the library costs beyond its light dependencies.

python benchmarks/import_time.py [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROUNDS = 15


def seconds(statement: str) -> float:
    """Time of an import in a fresh interpreter."""
    script = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    return float(subprocess.check_output([sys.executable, "-c", script]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    base, own = [], []
    for _ in range(ROUNDS):
        base.append(seconds("import pydantic, numpy"))
        own.append(seconds("import memory_mgr"))
    report = {
        "command": "python benchmarks/import_time.py",
        "versions": {p: version(p) for p in ("memory-mgr", "pydantic", "numpy")},
        "seconds": {"pydantic, numpy": statistics.median(base), "memory_mgr": statistics.median(own)},
    }
    print(json.dumps(report["seconds"]), f"difference {statistics.median(own) - statistics.median(base):.3f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
