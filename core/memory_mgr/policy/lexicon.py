"""Word lists and patterns that ship as package data, read once.

The lists are English. They only ever adjust a score or allow a rule to fire; without a match everything
falls back on what all languages share (length, digits, punctuation, novelty).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HINTS = " hints"


@cache
def load_sections(name: str) -> dict[str, tuple[str, ...]]:
    """The lines of `policy/data/<name>.txt` by section.

    A section starts with `[name]`; blank lines and lines that start with `#` are skipped.

    Raises:
        ValueError: If a line comes before the first section.
    """
    text = (files("memory_mgr.policy") / "data" / f"{name}.txt").read_text(encoding="utf-8")
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], [])
        elif current is None:
            raise ValueError(f"{name}.txt: {line!r} stands before the first [section]; add a heading")
        else:
            current.append(line)
    return {key: tuple(lines) for key, lines in sections.items()}


@cache
def load_words(name: str, section: str) -> frozenset[str]:
    """The words of one section, whatever way they are spread over its lines."""
    return frozenset(" ".join(load_sections(name)[section]).split())


@cache
def load_pattern(name: str, section: str, *, lowered: bool = False) -> re.Pattern[str]:
    """One pattern that matches any line (a regular expression each) of a section.

    Args:
        name: Of the file.
        section: Of it.
        lowered: For lower-case texts, which takes less time; else case does not matter.
    """
    lines = "|".join(f"(?:{line})" for line in load_sections(name)[section])
    return re.compile(lines, 0 if lowered else re.IGNORECASE)


@cache
def hints(name: str, section: str) -> tuple[str, ...]:
    """The texts, one a line of "[<section> hints]", of which every match of a section holds one; () = there are none.

    Looking for these first takes less time than for the pattern.
    """
    return load_sections(name).get(section + _HINTS, ())


@cache
def pattern_sections(name: str) -> tuple[str, ...]:
    """The sections of a file of patterns but for those of hints."""
    return tuple(section for section in load_sections(name) if not section.endswith(_HINTS))


def may_occur(name: str, section: str, lowered: str) -> bool:
    """Whether a lower-case text holds a hint of a section, or the section has none."""
    first = hints(name, section)
    return not first or any(map(lowered.__contains__, first))


def occurs(name: str, section: str, lowered: str) -> bool:
    """Whether the pattern of a section is found in a lower-case text."""
    return may_occur(name, section, lowered) and load_pattern(name, section, lowered=True).search(lowered) is not None


@cache
def load_patterns(name: str, section: str) -> tuple[re.Pattern[str], ...]:
    """As `load_pattern`, one pattern a line, for lines with groups."""
    return tuple(re.compile(line, re.IGNORECASE) for line in load_sections(name)[section])
