"""Answers about texts and words, remembered while the process runs: so many, and none about what is long."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
TEXT_CHARACTERS = 2_000
"""Of a text whose answer is remembered; longer ones are rarely asked about twice, and would be kept whole."""
WORD_CHARACTERS = 60
"""Of a word: no address or key is remembered."""


def remembered(
    answers: int, longest: int = TEXT_CHARACTERS
) -> Callable[[Callable[Concatenate[str, P], T]], Callable[Concatenate[str, P], T]]:
    """Decorates a pure function of a text; what else it is given must be hashable, what it returns is shared.

    Args:
        answers: How many are remembered, those asked for last.
        longest: In characters; about longer texts the function is asked each time.
    """

    def decorate(function: Callable[Concatenate[str, P], T]) -> Callable[Concatenate[str, P], T]:
        known = lru_cache(maxsize=answers)(function)

        @wraps(function)
        def ask(text: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
            if len(text) > longest:
                return function(text, *args, **kwargs)
            return known(text, *args, **kwargs)  # type: ignore[arg-type]

        return ask

    return decorate
