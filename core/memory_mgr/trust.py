"""Who memories come from, and how far each is believed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Origin: TypeAlias = Literal["system", "user", "assistant", "tool", "document", "import"]
"""Who a memory comes from."""
TRUST: dict[Origin, float] = {
    "system": 1.0, "user": 1.0, "assistant": 0.6, "document": 0.4, "import": 0.4, "tool": 0.2
}  # fmt: skip
"""How far each origin is believed, in [0, 1]: what a user says of themselves, then what a model concluded, then what
others wrote, then what a tool brought from anywhere. Only the order means anything."""

SuspicionPolicy: TypeAlias = Literal["flag", "quarantine", "drop", "off"]


def least_trusted(origins: Iterable[Origin]) -> Origin:
    """The origin that is believed least; "user" if there is none."""
    return min(origins, key=lambda origin: TRUST[origin], default="user")
