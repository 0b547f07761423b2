"""What a result of a benchmark depends on beside the code: written into every report."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def circumstances(command: str) -> dict[str, Any]:
    """The command, the day, the machine and the load it had."""
    return {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": {
            "cpu": _first_of("/proc/cpuinfo", "model name"),
            "cpus": os.cpu_count(),
            "memory": _first_of("/proc/meminfo", "MemTotal"),
            "system": platform.platform(),
            "load_average": os.getloadavg()[0],
        },
        "python": platform.python_version(),
    }


def _first_of(file: str, name: str) -> str:
    """The value of a line `name: value`; "unknown" on systems that do not tell."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    told = {}
    for package in packages:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    return told
