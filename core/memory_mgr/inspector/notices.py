"""What a page says after something was done. The address carries only a key of this table, never a text."""

from __future__ import annotations

NOTICES = {
    "edited": "Saved.",
    "superseded": "The new memory is below; the old one is its history.",
    "deleted": "The memory was deleted for good.",
    "undone": "The operation was taken back.",
    "pruned": "Pruned. What went is hidden until the grace period is over.",
    "consolidated": "Consolidated.",
    "forgotten": "The namespace was forgotten.",
}
