"""Secrets and common personal data taken out of text by patterns, for good or so that a key brings them back.

Patterns find what has a form: keys and tokens of known makes, passwords that are named as such, e-mail addresses, IBANs
and card numbers (both with their check digits), US social security numbers, IP addresses, phone numbers. Names,
addresses, health and everything else that only reads like something is not found; plug in a model for those.

What is found becomes `[redacted:email]`, or with a key `[sealed:email:…]`, encrypted by AES-SIV (RFC 5297), which seals
the same text the same way, so that equal values stay recognisably equal and a message stored twice is stored once.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from memory_mgr.errors import ConfigurationError, MissingDependencyError, RedactionError
from memory_mgr.policy.lexicon import load_patterns, load_sections

_FILE = "redaction_patterns"
_DONE = re.compile(r"\[(?:redacted:\w+|sealed:\w+:[\w-]+)\]")
_SEALED = re.compile(r"\[sealed:(\w+):([\w-]+)\]")
KEY_BYTES = (32, 48, 64)


class PatternRedactor:
    """A `protocols.Redactor`; what `redactor="builtin"` means.

    Args:
        key: 32, 48 or 64 random bytes to seal with instead of taking out for good; keep it apart from the store.
        kinds: Sections of `data/redaction_patterns.txt` to look for; default: all.

    Raises:
        ConfigurationError: The key has another length, or a kind is unknown.
        MissingDependencyError: There is a key, but not the package `cryptography`.
    """

    def __init__(self, key: bytes | None = None, kinds: tuple[str, ...] | None = None) -> None:
        known = tuple(load_sections(_FILE))
        unknown = set(kinds or ()) - set(known)
        if unknown:
            raise ConfigurationError(
                f"unknown kinds to redact: {', '.join(sorted(unknown))}; one of {', '.join(known)}"
            )
        self._kinds = [kind for kind in known if kinds is None or kind in kinds]
        self._cipher: Any = None if key is None else _cipher(key)

    def redact(self, text: str) -> str:
        """`text` without what was found; what was redacted before stays as it is."""
        pieces = _DONE.split(text)
        marks = [*_DONE.findall(text), ""]
        return "".join(self._redacted(piece) + mark for piece, mark in zip(pieces, marks, strict=True))

    def restore(self, text: str) -> str:
        """`text` with what was sealed with this key back in its place.

        Raises:
            RedactionError: There is no key, or something was sealed with another one.
        """
        if self._cipher is None:
            raise RedactionError("nothing can be restored without a key; what was redacted without one is gone")
        return _SEALED.sub(self._opened, text)

    def _redacted(self, text: str) -> str:
        for kind in self._kinds:
            valid = _CHECKS.get(kind)
            for pattern in load_patterns(_FILE, kind):
                # A marker put in by an earlier pattern is not looked into again.
                text = "".join(
                    piece if _DONE.fullmatch(piece) else pattern.sub(self._replacement(kind, valid), piece)
                    for piece in re.split(f"({_DONE.pattern})", text)
                )
        return text

    def _replacement(self, kind: str, valid: Callable[[str], bool] | None) -> Callable[[re.Match[str]], str]:
        def replaced(match: re.Match[str]) -> str:
            if valid is not None and not valid(match.group()):
                return match.group()
            group = "secret" if match.re.groupindex else 0
            start, end = match.start(group) - match.start(), match.end(group) - match.start()
            return f"{match.group()[:start]}{self._mark(kind, match.group(group))}{match.group()[end:]}"

        return replaced

    def _mark(self, kind: str, found: str) -> str:
        if self._cipher is None:
            return f"[redacted:{kind}]"
        sealed = self._cipher.encrypt(found.encode(), [kind.encode()])
        return f"[sealed:{kind}:{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}]"

    def _opened(self, match: re.Match[str]) -> str:
        from cryptography.exceptions import InvalidTag

        kind, text = match.groups()
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return str(self._cipher.decrypt(sealed, [kind.encode()]).decode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise RedactionError(f"{match.group()[:40]!r} was sealed with another key, or changed since") from error


def _cipher(key: bytes) -> Any:
    if not isinstance(key, bytes) or len(key) not in KEY_BYTES:
        raise ConfigurationError("a redaction key is 32, 48 or 64 random bytes, such as secrets.token_bytes(64)")
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV
    except ImportError as error:
        raise MissingDependencyError("cryptography", "crypto", "reversible redaction") from error
    return AESSIV(key)


def luhn(text: str) -> bool:
    """Whether the digits of a card number add up (ISO/IEC 7812)."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def mod_97(text: str) -> bool:
    """Whether the check digits of an IBAN fit (ISO 13616)."""
    plain = text.replace(" ", "").upper()
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


_CHECKS: dict[str, Callable[[str], bool]] = {"card": luhn, "iban": mod_97}


@cache
def builtin() -> PatternRedactor:
    """The one without a key, for all kinds."""
    return PatternRedactor()
