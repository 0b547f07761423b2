"""Whether a context holds what was put into it; written without the code that is tested."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

HERE = Path(__file__).parent
_LOOKS_LATIN = str.maketrans("аеорсухіѕм", "aeopcyxism")
_TAG = re.compile(r"<[\s/|!\\]*(\||memory|system|sys>|user\b|assistant|tool|human|im_|start_|end_|s>|developer|admin)")
_TURN = re.compile(r"\[\s*/?\s*(inst|system)\b[^\]\n]*\]")
_SYSTEM = re.compile(r"^\W{0,3}(system|developer|operator|administrator)\b[^\n:\"]{0,20}:")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\U000e0000-\U000e007f]")


def texts(name: str) -> list[str]:
    """The texts of one of the files beside this one."""
    lines = (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def broken(context: str) -> str | None:
    """What of a context's text leaves the fence or poses as another role; None if nothing does."""
    opening, closing = "<memory>\n", "</memory>"
    if not (context.startswith(opening) and context.endswith(closing)):
        return "the fence is not around it"
    inside = context.removeprefix(opening).removesuffix(closing)
    if unseen := _UNSEEN.search(inside):
        return f"unseen character {unseen.group()!r}"
    plain = unicodedata.normalize("NFKC", inside).casefold().translate(_LOOKS_LATIN)
    plain = "".join(c for c in plain if unicodedata.category(c) not in {"Cf", "Mn"})
    for pattern in (_TAG, _TURN):
        if found := pattern.search(plain):
            return f"markup {found.group()!r}"
    for line in plain.split("\n"):
        if (found := _SYSTEM.match(line)) and not line.startswith(("- ", "  ")):
            return f"poses as a role: {line!r:.80}"
    return None
