"""What all pages share: templates that escape everything, addresses, and the form token."""

from __future__ import annotations

import hmac
import json
import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from memory_mgr.errors import InvalidInputError
from memory_mgr.inspector.bars import bars
from memory_mgr.inspector.memories import Memories
from memory_mgr.types import MemoryType, Namespace


class Site:
    """The pages' common ground.

    Args:
        memories: What is shown.
    """

    def __init__(self, memories: Memories) -> None:
        self.memories = memories
        self._form_token = secrets.token_urlsafe(24)
        self._templates = Environment(
            loader=PackageLoader("memory_mgr.inspector"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            url=url, bars=bars, tiers=list(MemoryType), read_only=memories.read_only, form_token=self._form_token
        )
        self._templates.filters.update(moment=_moment, json=_json)

    def page(
        self, template: str, *, status: int = 200, namespace: Namespace | None = None, **values: Any
    ) -> HTMLResponse:
        """A page."""
        html = self._templates.get_template(template).render(namespace=namespace, **values)
        return HTMLResponse(html, status)

    def check_form(self, token: str) -> None:
        """Refuse a form that is not from one of our pages.

        Raises:
            HTTPException: 403.
        """
        if not hmac.compare_digest(token.encode(), self._form_token.encode()):
            raise HTTPException(403, "This form is not from this inspector, or it was restarted. Go back and reload.")


class Fields:
    """Values of a query or a form, read as what they should be."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    @property
    def namespace(self) -> Namespace:
        """Labels, outermost first.

        Raises:
            InvalidInputError: There is none.
        """
        labels = tuple(self._values.get("ns", ()))
        if not labels:
            raise InvalidInputError("which namespace? Choose one from the first page")
        return labels

    def text(self, name: str, default: str = "") -> str:
        """One line or several, without white space around."""
        return self._values.get(name, [default])[-1].strip()

    def written(self, name: str) -> str:
        """A text as it was typed; browsers send line ends as CR LF."""
        return self._values.get(name, [""])[-1].replace("\r\n", "\n")

    def number(self, name: str, default: int | None, most: int = 1_000_000) -> int | None:
        """A whole number from 0 to `most`.

        Raises:
            InvalidInputError: It is none.
        """
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
            raise InvalidInputError(f"{name} must be a whole number from 0 to {most:,}, not {text!r:.40}")
        return int(text)

    def share(self, name: str) -> float | None:
        """A decimal number.

        Raises:
            InvalidInputError: It is none.
        """
        text = self.text(name)
        try:
            return float(text) if text else None
        except ValueError as error:
            raise InvalidInputError(f"{name} must be a number, not {text!r:.40}") from error

    def flag(self, name: str) -> bool:
        """A ticked box."""
        return bool(self.text(name))

    def json_object(self, name: str) -> dict[str, Any] | None:
        """A JSON object.

        Raises:
            InvalidInputError: It is none.
        """
        text = self.text(name)
        try:
            value = json.loads(text) if text else None
        except ValueError as error:
            raise InvalidInputError(f"{name} is not JSON: {error}") from error
        if value is not None and not isinstance(value, dict):
            raise InvalidInputError(f"{name} must be a JSON object")
        return value


def url(path: str, namespace: Namespace | None = None, **query: Any) -> str:
    """An address of this site; what is None or empty is left out."""
    pairs = [("ns", label) for label in namespace or ()]
    pairs += [(name, str(value)) for name, value in query.items() if value not in (None, "", False)]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _moment(value: datetime | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
