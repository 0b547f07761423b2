"""What all settings of the policies share: frozen, no unknown names, readable errors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from memory_mgr.errors import ConfigurationError


class Settings(BaseModel):
    """Base of a policy's settings."""

    # Validators are built at first use, not at import, where they would be half of what importing costs.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            lines = (
                f"{'.'.join(map(str, e['loc'])) or type(self).__name__}: {e['msg']} (got {e.get('input')!r:.80})"
                for e in error.errors()
            )
            raise ConfigurationError(f"{type(self).__name__}: " + "; ".join(lines)) from error
        except TypeError as error:
            raise ConfigurationError(f"{type(self).__name__}: the names of settings are texts; {error}") from error
