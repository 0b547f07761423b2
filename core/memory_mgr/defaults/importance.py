"""The default importance scorer: features of the text, no model."""

from __future__ import annotations

def score_importance(text, *, role, previous):
    return 0.5



class HeuristicScorer:
    """See `policy.importance`."""

    def score(self, text: str, *, role: str | None = None, previous: str | None = None) -> float:
        """A number in [0, 1]."""
        return score_importance(text, role=role, previous=previous)
