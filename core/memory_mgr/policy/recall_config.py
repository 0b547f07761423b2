"""Settings of recall: what is looked at, and how much each kind of evidence counts."""

from __future__ import annotations

from pydantic import Field

from memory_mgr.policy.settings import Settings
from memory_mgr.types import MemoryType

DEFAULT_HALF_LIVES: dict[str, float] = {
    MemoryType.SHORT_TERM: 1.0,
    MemoryType.WORKING: 1.0,
    MemoryType.LONG_TERM: 90.0,
    MemoryType.EPISODIC: 30.0,
}
"""Days after which recency has halved. Episodes fade faster than facts; compare 30 days in memweave and
90 in Hindsight."""


class RecallConfig(Settings):
    """How memories are found and ordered.

    The weights are on one scale: each multiplies evidence in [0, 1], and the sum decides. They were chosen on
    five development conversations and their split into short messages, by leave-one-conversation-out fits
    rounded to what all folds agree on; see docs/recall.md for the ablation of each.
    """

    dense_candidates: int = Field(default=100, ge=1, le=10_000, description="Entries taken by embedding.")
    lexical_candidates: int = Field(
        default=100, ge=0, le=10_000, description="Entries taken by words; 0 = no lexical search."
    )
    column_weights: tuple[float, float, float] = Field(
        default=(1.0, 0.4, 0.2),
        description="bm25 weights of an entry's own words, the words just before, those further back.",
    )
    near_words: int = Field(default=20, ge=0, le=1000, description="What was said this many words back counts as near.")
    far_words: int = Field(default=60, ge=0, le=5000, description="What was said this many words back counts as far.")
    context_entries: int = Field(
        default=8, ge=0, le=100, description="Preceding entries looked at for near and far words."
    )
    context_gap_hours: float = Field(
        default=6.0, gt=0, description="A pause this long ends a session, and with it the context."
    )
    posting_floor: int = Field(default=5000, ge=1, description="Postings a query may always read, rarest words first.")
    posting_share: float = Field(
        default=0.25, gt=0, le=1, description="Share of the entries whose postings a query may read."
    )
    posting_ceiling: int = Field(
        default=10_000,
        ge=1,
        description="Postings a query reads at most, however many entries there are; see posting_floor.",
    )

    focus_query: bool = Field(
        default=True, description="Look for the question within a long query, such as behind a prompt."
    )

    lexical_weight: float = Field(default=0.7, ge=0, le=10, description="Match of words.")
    dense_weight: float = Field(default=0.4, ge=0, le=10, description="Likeness of meaning (embedding).")
    neighbour_weight: float = Field(
        default=0.3, ge=0, le=10, description="The better match of the entries before and after."
    )
    utterance_weight: float = Field(
        default=0.25, ge=0, le=10, description="The best match among messages the same speaker sent in a row."
    )
    answer_weight: float = Field(
        default=0.3, ge=0, le=10, description="The match of a question that this entry answers."
    )
    session_weight: float = Field(default=0.9, ge=0, le=10, description="How well the whole session matches.")
    time_weight: float = Field(default=1.0, ge=0, le=10, description="Falls in the time the query names.")
    speaker_weight: float = Field(default=0.2, ge=0, le=10, description="Said by the one person the query names.")
    substance_weight: float = Field(default=0.5, ge=0, le=10, description="Has more than a few words.")
    statement_weight: float = Field(default=0.2, ge=0, le=10, description="States something rather than only asks.")
    cue_weight: float = Field(
        default=0.3, ge=0, le=10, description="Mentions a time or number if the query asks for one."
    )
    importance_weight: float = Field(default=0.15, ge=0, le=10, description="Importance, in [0, 1].")
    recency_weight: float = Field(default=0.03, ge=0, le=10, description="Recency, in (0, 1].")
    half_life_days: dict[str, float] = Field(
        default_factory=lambda: dict(DEFAULT_HALF_LIVES),
        description="Days after which recency has halved, by tier.",
    )
    recall_renews: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of its age that an entry loses by being recalled; 0 = recalls do not count.",
    )
    session_best: int = Field(
        default=3, ge=1, le=100, description="A session is judged by the mean of its best entries."
    )
    lexical_floor: float = Field(
        default=1.0,
        gt=0,
        description="Least bm25 that counts as a full match: in tiny namespaces bm25 is noise.",
    )
    dense_span: float = Field(
        default=0.15, gt=0, le=2, description="Least difference in cosine that spans the full range."
    )
    rerank_candidates: int = Field(default=30, ge=1, le=1000, description="Entries an optional reranker sees.")
    rerank_weight: float = Field(default=0.5, ge=0, le=1, description="Its share in the blend with the score above.")

    def reach(self) -> tuple[tuple[str, float], ...]:
        """The settings, by name, that say which words are indexed with an entry; all others only matter to a search."""
        names = ("context_entries", "context_gap_hours", "far_words", "near_words")
        return tuple((name, getattr(self, name)) for name in names)
