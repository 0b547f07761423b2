"""Pictures of a memory (extra `[viz]`, matplotlib). Each function draws on `ax`, or on a new figure, and returns it.

    from memory_mgr import viz
    viz.timeline(memory.list_memories(limit=None))

Colours are told apart by colour-blind readers, and backgrounds are transparent, so that a plot suits light and dark
pages.
"""

from memory_mgr.viz.life import supersessions, tier_sizes, timeline
from memory_mgr.viz.maps import embedding_map
from memory_mgr.viz.worth import retention, token_budget

__all__ = ["embedding_map", "retention", "supersessions", "tier_sizes", "timeline", "token_budget"]
