"""The answers that the library remembers while it runs, as many as there ever will be."""

from __future__ import annotations

import functools
import gc
import inspect
from collections.abc import Iterator
from typing import Any

_LEAST = 100
"""Smaller memories are of no weight, and those without a limit are of tables that come with the library."""
_SENTENCE = "Ana saw Oslo with {word}, and said so. "
_LONG_EVERY, _SENTENCES = 30, 40
"""One text of thirty is long, as in the soak's workload, so that its own take no more room than those they replace."""


def fill_caches() -> dict[str, int]:
    """Fill every memory of answers that has a limit, so that whatever grows afterwards is something else.

    Returns:
        How many answers each remembers, by the name of its function.
    """
    filled: dict[str, int] = {}
    for cache, most in list(_caches()):
        parameters = list(inspect.signature(cache.__wrapped__).parameters)
        for n in range(most):
            cache(*_question(parameters, f"filler{n:x}", 1 if n % _LONG_EVERY else _SENTENCES))
        function = cache.__wrapped__
        filled[f"{function.__module__}.{function.__qualname__}"] = cache.cache_info().currsize
    return filled


def _caches() -> Iterator[tuple[Any, int]]:
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and found.__wrapped__.__module__.startswith("memory_mgr"):
            most = found.cache_parameters()["maxsize"]
            if most is not None and most >= _LEAST:
                yield found, most


def _question(parameters: list[str], word: str, sentences: int) -> list[object]:
    values: dict[str, object] = {
        "word": word,
        "text": _SENTENCE.format(word=word) * sentences,
        "names": frozenset[str](),
    }
    values["kinds"] = frozenset({word})
    return [values[name] for name in parameters]
