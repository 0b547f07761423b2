"""LangChain adapters of memory-mgr."""
