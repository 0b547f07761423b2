"""Fits and evaluates the importance model on LoCoMo (conversations with annotated evidence turns).

    python benchmarks/importance_fit.py --data locomo10.json [--write]

A turn is positive if a question of categories 1-4 names it as evidence. Conversations are read in order, word
frequencies grow as they would while messages arrive. Each conversation is scored by a model fitted on the
others (leave one conversation out); `--write` then fits on all of them and replaces the shipped weights.

Fit: logistic regression, ridge penalty on standardised weights, every weight held to the sign that makes
sense (a weight that wants the other one is set to 0). Afterwards one slope and one offset turn the log-odds
into a scale on which positive and negative turns are equally frequent.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.importance import ImportanceModel, Weights, WordCounts
from memory_mgr.policy.importance_features import extract

Array = NDArray[np.float64]

WEIGHTS = Path(__file__).parents[1] / "core/memory_mgr/policy/data/importance_weights.json"
RIDGE = 100.0
"""Penalty on standardised weights; 10 to 100 fit alike, the highest generalised best."""

SIGNS = {
    "substance": 1, "self_disclosure": 1, "names": 1, "numbers": 1, "time": 1, "relations": 1, "events": 1,
    "preferences": 1, "attachment": 1, "quotation": 1, "asks": -1, "addresses_listener": -1,
    "evaluation": -1, "small_talk": -1, "novelty": 1, "reply": 1, "after_long": -1,
    "reaction": 1, "follow_up": 1, "taken_up": 1,
}  # fmt: skip
FEATURES = tuple(SIGNS)
RECEPTION = ("reaction", "follow_up", "taken_up")
"""Known only once the next message is there."""

JUDGED = {
    "remember": 2.2,
    "critical": 1.6,
    "terse_fact": 1.3,
    "commitment": 0.4,
    "correction": 0.7,
    "contact": 1.2,
}
"""Log-odds of features too rare in LoCoMo to fit; judged on ordinary examples (tests/unit/policy)."""


@dataclass
class Conversation:
    """A conversation read once: feature rows (NaN = not known), and which turns are evidence."""

    name: str
    rows: Array
    evidence: Array
    turns: list[tuple[str, str | None, str | None]]


def load(path: Path) -> list[Conversation]:
    return [_conversation(item) for item in json.loads(path.read_text(encoding="utf-8"))]


def _conversation(item: dict[str, Any]) -> Conversation:
    talk = item["conversation"]
    sessions = sorted((k for k, v in talk.items() if isinstance(v, list)), key=lambda k: int(k.split("_")[1]))
    ids: dict[str, int] = {}
    turns: list[tuple[str, str | None, str | None]] = []
    for session in sessions:
        texts = [_text(turn) for turn in talk[session]]
        for turn, text, before, after in zip(
            talk[session], texts, [None, *texts[:-1]], [*texts[1:], None], strict=True
        ):
            ids[turn["dia_id"]] = len(turns)
            turns.append((text, before, after))
    evidence = np.zeros(len(turns))
    for question in item["qa"]:
        if question["category"] <= 4:
            named = re.findall(r"D\d+:\d+", " ".join(question["evidence"]))
            evidence[[ids[i] for i in named if i in ids]] = 1
    return Conversation(item["sample_id"], _rows(turns), evidence, turns)


def _text(turn: dict[str, Any]) -> str:
    caption = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
    return f"{turn['speaker']}: {turn['text']}{caption}"


def _rows(turns: Sequence[tuple[str, str | None, str | None]]) -> Array:
    counts = WordCounts()
    rows = []
    for text, before, after in turns:
        features = extract(text, previous=before, following=after, frequency=counts)
        rows.append([features.get(name, np.nan) for name in FEATURES])
        counts.add(text)
    return np.array(rows)


def fit(rows: Array, evidence: Array) -> Weights:
    means = np.nanmean(rows, axis=0)
    filled = np.where(np.isnan(rows), means, rows)
    deviations = filled.std(axis=0) + 1e-9
    design = np.c_[(filled - means) / deviations, np.ones(len(rows))]
    signs = np.array([*SIGNS.values(), 0])
    free = np.ones(len(signs), dtype=bool)
    while True:
        solution = _ridge_logistic(design, evidence, free)
        wrong = np.where(solution * signs < 0, np.abs(solution), 0)
        if not wrong.any():
            break
        free[int(wrong.argmax())] = False
    slope, offset = _balanced_scale(design @ solution, evidence)
    weights = slope * solution[:-1] / deviations
    named = dict(zip(FEATURES, weights.tolist(), strict=True))
    return Weights(offset, named | JUDGED, dict(zip(FEATURES, means.tolist(), strict=True)))


def _ridge_logistic(design: Array, evidence: Array, free: NDArray[np.bool_], ridge: float = RIDGE) -> Array:
    """Newton's method; weights that are not free stay 0, the last column is the unpenalised offset."""
    solution = np.zeros(design.shape[1])
    penalty = np.full(design.shape[1], ridge)
    penalty[-1] = 1e-6
    for _ in range(50):
        probability = 1 / (1 + np.exp(-design @ solution))
        gradient = design.T @ (probability - evidence) + penalty * solution
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        solution[free] -= step
        if np.abs(step).max() < 1e-8:
            break
    return solution


def _balanced_scale(log_odds: Array, evidence: Array) -> tuple[float, float]:
    """Slope and offset of a logistic curve through the scores, both classes weighing the same.

    The scores are those of an average-centred model: the offset is the log-odds of an average message.
    """
    share = evidence.mean()
    weight = np.where(evidence == 1, 0.5 / share, 0.5 / (1 - share))
    design = np.c_[log_odds - log_odds.mean(), np.ones(len(log_odds))]
    curve = np.zeros(2)
    for _ in range(50):
        probability = 1 / (1 + np.exp(-design @ curve))
        gradient = design.T @ (weight * (probability - evidence))
        curvature = (design * (weight * probability * (1 - probability))[:, None]).T @ design
        curve -= np.linalg.solve(curvature, gradient)
    return float(curve[0]), float(curve[1])


def scores(model: Weights, conversation: Conversation, *, following: bool, frequency: bool) -> Array:
    """Scores by the very code that users run."""
    scorer, counts, found = ImportanceModel(weights=model), WordCounts(), []
    for text, before, after in conversation.turns:
        found.append(
            scorer.score(
                text,
                previous=before,
                following=after if following else None,
                frequency=counts if frequency else None,
            )
        )
        counts.add(text)
    return np.array(found)


def auc(found: Array, evidence: Array) -> float:
    """Probability that a positive turn scores above a negative one (ties count half)."""
    positive, negative = found[evidence == 1], np.sort(found[evidence == 0])
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / 2 / len(negative))


def kept_share(found: Array, evidence: Array, share: float = 0.5) -> float:
    """Share of the positive turns among the best `share` of all turns."""
    best = np.argsort(-found, kind="stable")[: int(len(found) * share)]
    return float(evidence[best].sum() / evidence.sum())


def as_json(model: Weights, names: Sequence[str]) -> dict[str, Any]:
    fitted = (
        f"benchmarks/importance_fit.py on LoCoMo {', '.join(names)} (Maharana et al. 2024, CC BY-NC): "
        f"signed ridge logistic regression, penalty {RIDGE:g}; evidence of categories 1-4 against the rest"
    )
    judged = "by hand, in log-odds: too rare in LoCoMo to fit (tests/unit/policy/test_importance.py)"
    return {
        "provenance": {"fitted": fitted, "judged": judged},
        "baseline": round(model.baseline, 4),
        "fitted": {
            name: {"weight": round(model.weights[name], 4), "mean": round(model.means[name], 4)} for name in FEATURES
        },
        "judged": JUDGED,
    }


def leave_one_out(conversations: Sequence[Conversation]) -> list[Weights]:
    return [
        fit(
            np.vstack([other.rows for other in conversations if other is not left_out]),
            np.concatenate([other.evidence for other in conversations if other is not left_out]),
        )
        for left_out in conversations
    ]


def report(conversations: Sequence[Conversation], models: Sequence[Weights], title: str) -> None:
    print(f"\n{title}")
    settings = {
        "as stored (previous message, word frequencies)": (False, True),
        "with the next message": (True, True),
        "without word frequencies": (False, False),
    }
    for label, (following, frequency) in settings.items():
        found = [
            scores(model, conversation, following=following, frequency=frequency)
            for model, conversation in zip(models, conversations, strict=True)
        ]
        areas = [auc(f, c.evidence) for f, c in zip(found, conversations, strict=True)]
        kept = [kept_share(f, c.evidence) for f, c in zip(found, conversations, strict=True)]
        together = np.concatenate(found)
        truth = np.concatenate([c.evidence for c in conversations])
        print(
            f"  {label:48s} AUC {np.mean(areas):.4f} (pooled {auc(together, truth):.4f}; "
            f"{' '.join(f'{a:.3f}' for a in areas)})  top half keeps {np.mean(kept):.3f} "
            f"(pooled {kept_share(together, truth):.3f})"
        )
        deciles = " ".join(f"{q:.2f}" for q in np.quantile(together, np.linspace(0, 1, 11)))
        print(f"  {'':48s} deciles {deciles}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="LoCoMo JSON (not part of this project)")
    parser.add_argument("--write", action="store_true", help=f"replace {WEIGHTS.name}")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        parser.exit(2, f"no {arguments.data}: get locomo10.json from github.com/snap-research/locomo\n")
    conversations = load(arguments.data)
    if len(conversations) > 1:
        report(conversations, leave_one_out(conversations), "leave one conversation out")
    final = fit(np.vstack([c.rows for c in conversations]), np.concatenate([c.evidence for c in conversations]))
    if arguments.write:
        text = json.dumps(as_json(final, [c.name for c in conversations]), indent=2)
        WEIGHTS.write_text(text + "\n", encoding="utf-8")
        print(f"wrote {WEIGHTS}")
        return
    shipped = Weights.from_json(json.loads(WEIGHTS.read_text(encoding="utf-8")))
    report(conversations, [shipped] * len(conversations), "shipped weights")


if __name__ == "__main__":
    main()
