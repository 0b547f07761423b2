"""What is done to everything before it is scored, embedded or stored: redacted, signed, looked at for orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar, cast

from memory_mgr.actors import current_actor
from memory_mgr.config import MemoryConfig
from memory_mgr.defaults.adapters import as_redactor
from memory_mgr.engine.messages import MESSAGE
from memory_mgr.engine.operations import CHANGES, plain
from memory_mgr.errors import RedactionError, SuspiciousContentError
from memory_mgr.policy.suspicion import suspicions
from memory_mgr.types import JSON, MemoryEntry, Message, NewMemory

T = TypeVar("T")
SUSPICIOUS, ORIGIN, ACTOR, EDITS = "suspicious", "origin", "by", "edits"
_EDITS = 20
"""Changes by callers that an entry remembers; the oldest are let go first."""
_NAMES = frozenset({"role", "key", "origin", "by", "suspicious", "supersedes", "changes", "edits"})
"""Keys of `details` whose values are names and ids, or were redacted before."""
_FRAMEWORK_NAMES = frozenset({"id", "type", "role", "lc", "block_type"})
"""Keys of a framework's own message whose values are names."""

_NOTE_NAMES = frozenset({"op", "kind", "at", "by", "fields", "details_new"})
"""Keys of a note of a change whose values are names."""

_ADDRESSES = {"item": frozenset({"namespace", "under", "key"})}
"""Keys of the metadata that say where a thing of a kind is found, not what it says."""


class Intake:
    """Prepares what is to be stored.

    Args:
        config: Names the redactor, the policy for suspicious text, and who acts.
    """

    def __init__(self, config: MemoryConfig) -> None:
        self._redactor = None if config.redactor is None else as_redactor(config.redactor)
        self._policy = config.suspicion.policy
        self._actor = config.actor
        self._audit = config.audit

    @property
    def actor(self) -> str | None:
        """Who acts now."""
        return current_actor() or self._actor

    @property
    def redacts(self) -> bool:
        """Whether a redactor is asked."""
        return self._redactor is not None

    def new(self, new: NewMemory) -> NewMemory:
        """A memory as it will be stored.

        Raises:
            RedactionError: The redactor failed; nothing is stored unredacted.
            SuspiciousContentError: It seems to give orders and is to be dropped.
        """
        return self.flagged(self.signed(new))

    def signed(self, new: NewMemory) -> NewMemory:
        """What of `new` is up to the caller, and has to be known before anything is made of it: all but the flags."""
        new = self._redacted_new(new)
        self._refuse_orders(new.content, new.kind)
        details: dict[str, JSON] = dict(new.details or {})
        origin = new.origin or (details.get("role") if new.kind == MESSAGE else None)
        if origin not in {None, "user"}:
            details[ORIGIN] = origin
        if (actor := self.actor) is not None:
            details[ACTOR] = actor
        return replace(new, details=details)

    def flagged(self, new: NewMemory) -> NewMemory:
        """With the signs that it wants to give orders, if there are any."""
        found = self._suspicions(new.content)
        return replace(new, details={**(new.details or {}), SUSPICIOUS: found}) if found else new

    def message(self, message: Message) -> Message:
        """A message as it will be stored, so that its tokens are counted as they will be sent."""
        if self._redactor is None:
            return message
        calls = tuple(replace(call, arguments=self._json(call.arguments)) for call in message.tool_calls)
        return replace(
            message,
            content=self._text(message.content),
            name=None if message.name is None else self._text(message.name),
            tool_calls=calls,
            metadata=self._json(message.metadata),
            original=None if message.original is None else self._json(message.original, _FRAMEWORK_NAMES),
        )

    def changes(self, entry: MemoryEntry, changes: Mapping[str, Any]) -> dict[str, Any]:
        """New values of fields as they will be stored."""
        changed = dict(changes)
        for name in ("content", "metadata"):
            if name in changed:
                changed[name] = self._json(changed[name])
        if "details" in changed:
            changed["details"] = self._details(changed["details"])
        if "content" in changed:
            self._refuse_orders(changed["content"], entry.kind)
            found = self._suspicions(changed["content"])
            details = changed.get("details", entry.details)
            kept = {name: value for name, value in details.items() if name != SUSPICIOUS}
            changed["details"] = kept | ({SUSPICIOUS: found} if found else {})
        return changed

    def noting(self, entry: MemoryEntry, changes: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """The details of an entry with a note of what a caller is about to change; what it held is redacted too."""
        fields = sorted(name for name in changes if name != "details" and changes[name] != getattr(entry, name))
        if self._audit == "off" or not fields:
            return {}
        note: dict[str, JSON] = {"kind": "update", "at": now.isoformat(), "by": self.actor}
        if self._audit == "values":
            note["before"] = self._json({name: plain(getattr(entry, name)) for name in fields})
        else:
            note["fields"] = list(fields)
        earlier = cast("list[JSON]", entry.details.get(EDITS, []))
        details = changes.get("details", entry.details)
        return {"details": {**details, EDITS: [*earlier, note][-_EDITS:]}}

    def imported(self, entry: MemoryEntry) -> MemoryEntry:
        """An entry of an import file as it will be stored."""
        if self._redactor is None:
            return entry
        details = self._details(entry.details)
        for name in (EDITS, CHANGES):
            if name in details:
                details[name] = self._json(details[name], _NOTE_NAMES)
        return entry.with_changes(
            content=self._text(entry.content),
            speaker=None if entry.speaker is None else self._text(entry.speaker),
            metadata=self._json(entry.metadata),
            details=details,
        )

    # --- redacting -----------------------------------------------------------------------------------------

    def _redacted_new(self, new: NewMemory) -> NewMemory:
        if self._redactor is None:
            return new
        kept = _ADDRESSES.get(new.kind, frozenset())
        return replace(
            new,
            content=self._text(new.content) or "[redacted]",
            metadata={k: v if k in kept else self._json(v) for k, v in (new.metadata or {}).items()},
            details=self._details(new.details or {}),
            speaker=None if new.speaker is None else self._text(new.speaker),
            found_by=None if new.found_by is None else [self._text(text) for text in new.found_by],
        )

    def _text(self, text: str) -> str:
        if self._redactor is None:
            return text
        try:
            redacted = self._redactor.redact(text)
        except Exception as error:
            raise RedactionError(f"the redactor failed on a text of {len(text)} characters: {error}") from error
        if not isinstance(redacted, str):
            raise RedactionError(f"the redactor returned {type(redacted).__name__}; it must return text")
        return redacted

    def _json(self, value: T, names: frozenset[str] = frozenset()) -> T:
        """Every text inside a JSON value redacted, but for the values of keys that are `names` or end in "_id"."""
        return cast("T", _mapped(value, self._text, names)) if self._redactor is not None else value

    def _details(self, details: Mapping[str, JSON]) -> dict[str, JSON]:
        """The engine's own object: what is text in it, redacted."""
        if self._redactor is None:
            return dict(details)
        redacted: dict[str, JSON] = {}
        for name, value in details.items():
            if name in _NAMES or name.endswith("_id"):
                redacted[name] = value
            else:
                framework = name in {"original", "tool_calls"}
                redacted[name] = self._json(value, _FRAMEWORK_NAMES if framework else frozenset())
        return redacted

    # --- looking for orders --------------------------------------------------------------------------------

    def _refuse_orders(self, text: str, kind: str) -> None:
        if self._policy == "drop" and kind != MESSAGE and (found := suspicions(text)):
            raise SuspiciousContentError(found)

    def _suspicions(self, text: str) -> list[JSON]:
        return [] if self._policy == "off" else list(suspicions(text))


def _mapped(value: Any, change: Callable[[str], str], names: frozenset[str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        kept = {k for k in value if names and (k in names or k.endswith("_id"))}
        return {k: v if k in kept else _mapped(v, change, names) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change, names) for item in value]
    return value
