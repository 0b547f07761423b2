"""Settings from a TOML file: the fields of `MemoryConfig`; plug-ins as "module:attribute".

path = "memory"                     # relative to this file
namespace = ["acme", "user-42"]
llm = "my_models:llm"               # imported; the folder of this file is searched too
[short_term]
max_messages = 20
"""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

from memory_mgr.errors import ConfigurationError, InvalidInputError

_PLUG_INS = (
    "embedder",
    "summarizer",
    "importance",
    "token_counter",
    "reranker",
    "llm",
    "clock",
    "redactor",
    "on_event",
)
_PATHS = ("path", "catalog_path")


def read_config(file: Path) -> dict[str, Any]:
    """The settings in a file, plug-ins imported, paths relative to its folder.

    Raises:
        InvalidInputError: The file cannot be read.
        ConfigurationError: A plug-in cannot be imported.
    """
    try:
        settings = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{file} is not TOML: {error}") from error
    folder = file.resolve().parent
    for name in _PATHS:
        if isinstance(settings.get(name), str) and settings[name] != ":memory:":
            settings[name] = folder / settings[name]
    for name in _PLUG_INS:
        if name in settings:
            settings[name] = _imported(settings[name], name, folder)
    return settings


def _imported(reference: object, setting: str, folder: Path) -> Any:
    module, _, attribute = str(reference).partition(":")
    if not module or not attribute:
        raise ConfigurationError(f'{setting} must be "module:attribute", not {reference!r}')
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        plug_in = getattr(import_module(module), attribute)
        return plug_in() if isinstance(plug_in, type) else plug_in
    except Exception as error:  # importing runs the user's code, which may raise anything
        raise ConfigurationError(f"{setting} {reference!r} cannot be imported: {error!r}") from error
