"""Where memories are kept: Chroma holds the truth, a SQLite catalog beside it is an index."""
