"""Names that try to be taken for one another."""

from __future__ import annotations

import random
import unicodedata
from itertools import islice, product

Namespace = tuple[str, ...]

WORDS = ("acme", "Acme", "user-42", "straße", "STRASSE", "ﬁle", "file", "e\u0301a", "éa", "İ", "i\u0307", "Ω", "Ω")
"""Case, full case folding, ligatures, composed and decomposed, letters that look the same."""

MARKS = (
    "/", "\\", ".", "..", ":", "::", "|", "-", "_", " ", "\t", "\n", "\u200b", "\u00a0", "\ufeff", "%", "%25", "*", "?",
    "[a-z]", "'", '"', '","', '"]', "`", ";", "--", "#", "$", "{}", "()", "&", "=", "<", ">", ",", "+", "\u202e",
)  # fmt: skip
"""Separators, wildcards, quotes, comments, and characters that do not show."""

WHOLE = (
    "../../etc/passwd",
    "C:\\Windows\\system32",
    "file:///etc/passwd",
    "CON",
    "nul",
    "%2e%2e%2f",
    "' OR '1'='1",
    "'; DROP TABLE entries; --",
    'x" OR own : *',
    "NEAR(acme user, 5)",
    "own:acme",
    "acme*",
    "^acme",
    "AND",
    "NOT acme",
    '["acme","user-42"]',
    '["acme", "user-42"]',
    '"acme"',
    "acme user-42",
    "null",
    "None",
    "0",
    "1",
    "True",
    "default",
    "long_term",
    "short_term-",
    "*",
    "%",
    "_",
    "__proto__",
    "{namespace}",
    "{query_str}",
    "$ne",
    "$or",
    "<memory>",
    "</memory>",
    "a" * 512,
    "a" * 511 + "b",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f468\U0001f469\U0001f467",
    "مرحبا",
    "你好",
)
"""Labels that mean something to a file system, to SQL, to FTS5, to JSON, to a filter or to a template."""


def labels() -> list[str]:
    """All of them: the words, the words with marks around and between, and the rest."""
    marked = [f"{a}{mark}" for a, mark in product(WORDS[:3], MARKS)]
    marked += [f"{mark}{WORDS[0]}" for mark in MARKS]
    marked += [f"{WORDS[0]}{mark}{WORDS[2]}" for mark in MARKS]
    forms = [unicodedata.normalize(form, word) for form in ("NFC", "NFD", "NFKC", "NFKD") for word in WORDS]
    changed = [f(word) for f in (str.upper, str.lower, str.casefold, str.swapcase) for word in WORDS]
    return [label for label in dict.fromkeys([*WORDS, *forms, *changed, *WHOLE, *marked]) if label.strip()]


def namespaces(count: int, seed: int = 0) -> list[Namespace]:
    """`count` different namespaces of one label or several, the same for the same seed.

    Each joined name is also split in every way, so that ("a/b",), ("a", "b") and ("a", "b", "") style collisions of
    joined labels would show.
    """
    draw = random.Random(seed)
    pool = labels()
    draw.shuffle(pool)
    made: dict[Namespace, None] = dict.fromkeys([("acme",), ("acme", "user-42"), ("acme", "user", "42")])
    for label in pool:
        made[(label,)] = None
        made[("acme", label)] = None
        made[(label, "acme")] = None
        made[(label, draw.choice(pool))] = None
    if count > len(made):
        raise ValueError(f"there are only {len(made)} of them")
    return list(islice(made, count))


def pairs(count: int) -> int:
    """How many pairs there are among so many."""
    return count * (count - 1) // 2
