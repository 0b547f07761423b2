"""Which way entries are written in Chroma."""

SCHEMA_VERSION = 2
"""Raised when the way entries are written changes; stores with a higher one are refused."""
OLDEST_SCHEMA = 1
"""From this one on stores are read, and written on in their own form; lower ones have to be migrated."""
