"""LlamaIndex adapters of memory-mgr."""
