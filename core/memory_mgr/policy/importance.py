"""How much a text is worth remembering, without a model.

A logistic model over the features of `importance_features`: the score is the sigmoid of a sum of parts, one a
feature, so that every score can be explained. Most weights are fitted (benchmarks/importance_fit.py), each
held to the sign that makes sense; what is too rare in dialogues to be fitted ("remember that ...", allergies)
is judged. Both are in `data/importance_weights.json`, with where they come from.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import Field

from memory_mgr.policy.importance_features import WordFrequency, extract, read, split_speaker, stem
from memory_mgr.policy.settings import Settings

BASELINE = "baseline"
"""The part that every text gets: the log-odds of an average message."""


class ImportanceConfig(Settings):
    """How texts are scored when no scorer is plugged in."""

    assistant_discount: float = Field(
        default=0.8,
        ge=0,
        le=10,
        description="Log-odds taken off what an assistant without a name said: it can say that again. Judged.",
    )
    tool_discount: float = Field(default=1.2, ge=0, le=10, description="Log-odds taken off tool output. Judged.")
    empty_score: float = Field(default=0.05, ge=0, le=1, description="Score of a text without a word in it.")


@dataclass(frozen=True, slots=True)
class Weights:
    """The model.

    Attributes:
        baseline: Log-odds of a message all of whose features are average.
        weights: Log-odds per unit of a feature.
        means: The average of each feature; a feature that is not known counts as average.
    """

    baseline: float
    weights: Mapping[str, float]
    means: Mapping[str, float]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Weights:
        """Reads the layout of `data/importance_weights.json`."""
        fitted, judged = data["fitted"], data["judged"]
        return cls(
            baseline=float(data["baseline"]),
            weights={name: float(row["weight"]) for name, row in fitted.items()} | judged,
            means={name: float(row["mean"]) for name, row in fitted.items()},
        )


@cache
def default_weights() -> Weights:
    """The weights this library ships."""
    path = files("memory_mgr.policy") / "data" / "importance_weights.json"
    return Weights.from_json(json.loads(path.read_text(encoding="utf-8")))


class WordCounts:
    """In how many texts each word occurred: a `WordFrequency` for those that come in one batch or process.

    Args:
        base: What is known from before, added to the own counts.
    """

    def __init__(self, base: WordFrequency | None = None) -> None:
        self._base = base
        self._counts: Counter[str] = Counter()

    def __call__(self, word: str) -> int:
        """Texts that held `word`."""
        known = 0 if self._base is None else self._base(word)
        return known + self._counts[stem(word)]

    def add(self, text: str) -> None:
        """Counts the words of a text that has been scored."""
        self._counts.update(read(split_speaker(text)[1]).all_terms())


def informative_words(text: str) -> list[str]:
    """The words of a text whose frequency matters to its importance, lower case."""
    return list(read(split_speaker(text)[1]).statement_terms.values())


class ImportanceModel:
    """The default importance scorer (see `protocols.ImportanceScorer`).

    Args:
        config: Its settings.
        weights: Another model, None = the one this library ships.
    """

    def __init__(self, config: ImportanceConfig | None = None, weights: Weights | None = None) -> None:
        self.config = config or ImportanceConfig()
        self._model = weights or default_weights()

    def score(
        self,
        text: str,
        *,
        role: str | None = None,
        previous: str | None = None,
        speaker: str | None = None,
        previous_speaker: str | None = None,
        following: str | None = None,
        frequency: WordFrequency | None = None,
    ) -> float:
        """How much `text` is worth remembering, in [0, 1].

        About .1 for small talk, .7 for a fact with a name or a date, .95 for "remember that I'm allergic".
        Everything but the text is optional and only sharpens the score.

        Args:
            text: What is said, with or without a leading "speaker: ".
            role: "user", "assistant", "system" or "tool".
            previous: What was said before it in the same conversation.
            speaker: Who says it; the names of those who talk are not news.
            previous_speaker: Who said `previous`.
            following: What was said next, if that is known already; how it was taken tells a lot.
            frequency: How often words were seen before in the namespace (`WordCounts` is one).
        """
        return combine(
            self.explain(
                text,
                role=role,
                previous=previous,
                speaker=speaker,
                previous_speaker=previous_speaker,
                following=following,
                frequency=frequency,
            )
        )

    def explain(
        self,
        text: str,
        *,
        role: str | None = None,
        previous: str | None = None,
        speaker: str | None = None,
        previous_speaker: str | None = None,
        following: str | None = None,
        frequency: WordFrequency | None = None,
    ) -> dict[str, float]:
        """The parts of `score` in log-odds, by feature; `combine` makes the score of them.

        Positive parts speak for remembering; 0 is an average message. Arguments as in `score`.
        """
        if not any(character.isalnum() for character in text):
            return {"empty": _log_odds(self.config.empty_score)}
        features = extract(
            text,
            speaker=speaker,
            previous=previous,
            previous_speaker=previous_speaker,
            following=following,
            frequency=frequency,
        )
        weights, means = self._model.weights, self._model.means
        parts = {BASELINE: self._model.baseline}
        for name, value in features.items():
            part = weights.get(name, 0.0) * (value - means.get(name, 0.0))
            if part:
                parts[name] = part
        discount = {"tool": self.config.tool_discount}
        if speaker is None:  # a named assistant is somebody whose words count, as in a transcript
            discount["assistant"] = self.config.assistant_discount
        if role in discount:
            parts["role"] = -discount[role]
        return parts


def combine(parts: Mapping[str, float]) -> float:
    """The sigmoid of the sum of parts in log-odds, in [0, 1]."""
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, math.fsum(parts.values())))))


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))
