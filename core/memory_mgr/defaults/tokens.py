"""Counting tokens without a network: tiktoken's encodings from files that are already on the machine."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import logging
import os
import re
import tempfile
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_BUNDLES = {"llama_index": "core/_static/tiktoken_cache", "litellm": "litellm_core_utils/tokenizers"}
"""Packages that ship encodings, and where; looked at as files, never imported."""
_REMEMBERED_CHARACTERS = 2048
_LINES = re.compile(r"(?<=\n)(?=[^\s/])")
"""Where a text can be counted in parts. The patterns of these encodings end a token with a line break unless a space
or a slash follows, so no token reaches over."""
_BY_LINES = {"cl100k_base", "o200k_base"}


class TiktokenCounter:
    """Counts with a tiktoken encoding found on this machine, else estimates on the safe side.

    Looked for, in this order: encodings tiktoken has loaded already; files named as tiktoken's cache names them in
    `MEMORY_MGR_TIKTOKEN_DIR`, `TIKTOKEN_CACHE_DIR`, `DATA_GYM_CACHE_DIR`, the system's temporary folder, and in
    llama-index-core or litellm if installed; the network only with `allow_download`. The environment is not changed.

    Args:
        encoding: "cl100k_base" or "o200k_base" or another of tiktoken's.
        allow_download: Let tiktoken fetch the encoding (it caches it).
    """

    def __init__(self, encoding: str = "cl100k_base", *, allow_download: bool = False) -> None:
        self.encoding = encoding
        self._allow_download = allow_download
        self._lock = threading.Lock()
        self._resolved = False
        self._found: Any = None
        self._remembered = functools.lru_cache(maxsize=4096)(self._count)

    @property
    def exact(self) -> bool:
        """False if the encoding was not found and counts are estimates."""
        return self._encoding() is not None

    def count(self, text: str) -> int:
        """Tokens of `text`; special tokens in it count as the plain text they are."""
        if len(text) <= _REMEMBERED_CHARACTERS:
            return self._remembered(text)
        # A context is made of lines that were counted before they were chosen.
        lines = _LINES.split(text) if self.encoding in _BY_LINES else [text]
        return sum(map(self.count, lines)) if len(lines) > 1 and self.exact else self._count(text)

    def _count(self, text: str) -> int:
        encoding = self._encoding()
        return estimate_tokens(text) if encoding is None else len(encoding.encode_ordinary(text))

    def _encoding(self) -> Any:
        if not self._resolved:
            with self._lock:
                if not self._resolved:
                    self._found = find_encoding(self.encoding, allow_download=self._allow_download)
                    self._resolved = True
                    if self._found is None:
                        log.warning(
                            "tiktoken's %s is not on this machine: token counts are estimates that err on the high "
                            'side; pip install "memory-mgr[llamaindex]" brings it, or set allow_download=True',
                            self.encoding,
                        )
        return self._found


def estimate_tokens(text: str) -> int:
    """More tokens than any common encoding needs for ordinary text: a third of its UTF-8 bytes, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // 3)


def find_encoding(name: str, *, allow_download: bool) -> Any:
    """The tiktoken encoding, None if it cannot be had."""
    from tiktoken import registry

    loaded = registry.ENCODINGS.get(name)
    if loaded is not None:
        return loaded
    try:
        return _from_files(name)
    except (OSError, LookupError, AttributeError, ImportError, ValueError) as error:
        log.debug("no local file for tiktoken encoding %s: %s", name, error)
    if allow_download:
        import tiktoken

        return tiktoken.get_encoding(name)
    return None


@functools.cache
def _from_files(name: str) -> Any:
    """Build the encoding, once a process, with tiktoken's own recipe, its downloads replaced by local files.

    The recipe is a function of `tiktoken_ext.openai_public`; a clone of it gets other globals, so that neither
    tiktoken nor the environment is touched.
    """
    import tiktoken
    from tiktoken_ext import openai_public

    recipe = openai_public.ENCODING_CONSTRUCTORS[name]
    names = dict(recipe.__globals__) | {"load_tiktoken_bpe": _load_bpe}
    clone = types.FunctionType(recipe.__code__, names, recipe.__name__, recipe.__defaults__, recipe.__closure__)
    encoding = tiktoken.Encoding(**clone())
    # For pickling only, which nobody does with this one: 14 MB in every process that counts tokens.
    encoding._mergeable_ranks = {}
    return encoding


def _load_bpe(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    file_name = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    for folder in _folders():
        try:
            content = (folder / file_name).read_bytes()
        except OSError:
            continue
        if expected_hash is None or hashlib.sha256(content).hexdigest() == expected_hash:
            return {
                base64.b64decode(t): int(rank) for t, rank in (line.split() for line in content.splitlines() if line)
            }
    raise FileNotFoundError(f"{url} is not cached on this machine")


def _folders() -> Iterator[Path]:
    for variable in ("MEMORY_MGR_TIKTOKEN_DIR", "TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if os.environ.get(variable):
            yield Path(os.environ[variable])
    yield Path(tempfile.gettempdir()) / "data-gym-cache"
    for package, folder in _BUNDLES.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(root) / folder
