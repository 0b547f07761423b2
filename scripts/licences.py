"""Are the licences of all dependencies ones that may be distributed with an MIT project? Works offline.

python scripts/licences.py [DISTRIBUTION ...]      default: memory-mgr with every extra but `dev`

Reads the metadata of what is installed, follows requirements, and fails on a licence that is not in the list below or
not told. Requirements that are not installed are named and left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.markers import default_environment
from packaging.requirements import Requirement

ALLOWED = re.compile(
    r"\b(mit|bsd|apache|isc|psf|python software foundation|mpl|mozilla public license|0bsd|zlib|cc0|unlicense|cnri"
    r"|public domain|academic free)\b",
    re.IGNORECASE,
)
REFUSED = re.compile(
    r"\b(a?gpl|affero|sspl|busl|commons clause|proprietary|non-?commercial)\b|(?<!lesser )general public", re.IGNORECASE
)
NOT_OURS = {"dev", "notebooks", "docs"}
"""Extras that nobody installs to use the library."""


def licence(found: Distribution) -> str:
    """What the metadata says, the most formal first."""
    told = found.metadata
    classifiers = [c.split(" :: ")[-1] for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    return told.get("License-Expression") or "; ".join(classifiers) or (told.get("License") or "").split("\n")[0]


def acceptable(text: str) -> bool:
    """Each of several licences that apply together, or one of those that may be chosen."""
    return any(ALLOWED.search(choice) and not REFUSED.search(choice) for choice in re.split(r"\bOR\b", text))


def requirements(found: Distribution, extras: set[str]) -> Iterator[Requirement]:
    """What a distribution with some extras needs here."""
    for line in found.requires or []:
        requirement = Requirement(line)
        environments = [dict(default_environment(), extra=extra) for extra in (extras or {""})]
        if requirement.marker is None or any(requirement.marker.evaluate(e) for e in environments):
            yield requirement


def closure(names: list[str]) -> tuple[dict[str, Distribution], set[str]]:
    """Everything that is needed by `names`, and what of it is not installed."""
    waiting = [Requirement(name) for name in names]
    seen: dict[str, Distribution] = {}
    missing: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (requirement.name.lower().replace("_", "-"), frozenset(requirement.extras))
        if key in done:
            continue
        done.add(key)
        try:
            seen[key[0]] = distribution(requirement.name)
        except PackageNotFoundError:
            missing.add(key[0])
            continue
        waiting += requirements(seen[key[0]], set(requirement.extras))
    return seen, missing


def main() -> None:
    """Look, tell, and fail if something is not acceptable."""
    names = sys.argv[1:]
    if not names:
        extras = set(distribution("memory-mgr").metadata.get_all("Provides-Extra") or []) - NOT_OURS
        names = [f"memory-mgr[{','.join(sorted(extras))}]"]
    seen, missing = closure(names)
    bad = {name: licence(found) for name, found in seen.items() if not acceptable(licence(found))}
    for name in sorted(missing):
        print(f"not installed, not looked at: {name}")
    for name, text in sorted(bad.items()):
        print(f"NOT ACCEPTED: {name}: {text or 'no licence told'}")
    print(f"{len(seen)} distributions, {len(bad)} not accepted, {len(missing)} not installed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
