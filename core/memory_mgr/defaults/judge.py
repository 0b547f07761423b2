"""Questions to a model whose answers are JSON: what is important, what is out of date."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from memory_mgr.defaults.asking import Model

T = TypeVar("T")
Relation: TypeAlias = Literal["replaces", "repeats"]
_TOKENS_AN_ANSWER = 40
"""Of one object of the answer."""
_LONGEST = 1000
"""Characters of a statement that the model sees."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class _Rating(_Strict):
    number: int
    importance: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class _Verdict(_Strict):
    number: int
    letter: Annotated[str, Field(min_length=1, max_length=1)]
    relation: Relation
    reason: Annotated[str, Field(max_length=300)] = ""


@dataclass(frozen=True, slots=True)
class Outdated:
    """What a model says of an earlier statement.

    Attributes:
        new: Place of the new statement among those asked about.
        old: Place of the earlier one among those given with it.
        relation: Whether the new one "replaces" or "repeats" it.
        reason: In the model's words.
    """

    new: int
    old: int
    relation: Relation
    reason: str


class ModelJudge:
    """Asks a model and believes only answers about what it was asked.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        prompts = files("memory_mgr.defaults") / "prompts"
        self._importance = (prompts / "importance.txt").read_text("utf-8")
        self._outdated = (prompts / "outdated.txt").read_text("utf-8")

    def importance(self, texts: Sequence[str]) -> dict[int, float]:
        """The importance in [0, 1] of those texts that the model rated, by place.

        Raises:
            ExtensionError: The model failed, hung, or gave no answer that is of use.
        """
        items = "\n".join(f"{number}. {_shown(text)}" for number, text in enumerate(texts, 1))

        def read(answer: str) -> dict[int, float]:
            ratings = TypeAdapter(list[_Rating]).validate_json(_json(answer))
            numbers = [rating.number for rating in ratings]
            _refuse_unknown(numbers, len(texts))
            if len(set(numbers)) < len(numbers):
                raise ValueError("it rated one text twice")
            return {rating.number - 1: rating.importance / 10 for rating in ratings}

        return self._model.ask(self._importance.format(items=items), read, max_tokens=_TOKENS_AN_ANSWER * len(texts))

    def outdated(self, statements: Sequence[tuple[str, Sequence[str]]]) -> list[Outdated]:
        """Which earlier statements a newer one makes out of date.

        Args:
            statements: New ones, each with at most 26 earlier ones.

        Raises:
            ExtensionError: The model failed, hung, or gave no answer that is of use.
        """
        items = "\n\n".join(
            "\n".join([f"{n}. {_shown(new)}", *(f"   {a}) {_shown(old)}" for a, old in zip(_LETTERS, olds))])  # noqa: B905
            for n, (new, olds) in enumerate(statements, 1)
        )

        def read(answer: str) -> list[Outdated]:
            verdicts = TypeAdapter(list[_Verdict]).validate_json(_json(answer))
            _refuse_unknown([verdict.number for verdict in verdicts], len(statements))
            return [_placed(verdict, len(statements[verdict.number - 1][1])) for verdict in verdicts]

        return self._model.ask(
            self._outdated.format(items=items), read, max_tokens=2 * _TOKENS_AN_ANSWER * len(statements)
        )


_LETTERS = string.ascii_lowercase


def _placed(verdict: _Verdict, earlier: int) -> Outdated:
    old = _LETTERS.find(verdict.letter.lower())
    if not 0 <= old < earlier:
        raise ValueError(f"it named statement {verdict.number}{verdict.letter}, which there is not")
    return Outdated(verdict.number - 1, old, verdict.relation, verdict.reason)


def _refuse_unknown(numbers: Sequence[int], count: int) -> None:
    if unknown := [number for number in numbers if not 1 <= number <= count]:
        raise ValueError(f"it named statement {unknown[0]} of {count}")


def _json(answer: str) -> str:
    """The list in an answer, whatever the model wrote around it."""
    start, end = answer.find("["), answer.rfind("]")
    if start < 0 or end < start:
        raise ValueError(f"there is no JSON list in its answer {answer!r:.80}")
    return answer[start : end + 1]


def _shown(text: str) -> str:
    return " ".join(text[:_LONGEST].split())
