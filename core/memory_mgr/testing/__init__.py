"""Pieces for your own tests: a clock you move by hand, an embedder that needs no model, a store conformance suite."""

from memory_mgr.testing.conformance import StoreConformance
from memory_mgr.testing.fakes import FakeClock, FakeEmbedder

__all__ = ["FakeClock", "FakeEmbedder", "StoreConformance"]
