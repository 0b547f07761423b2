"""The package as it is imported, with and without what it is for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import langchain_memory_mgr

_WITHOUT = """
import sys
for name in ("langchain_core", "langgraph", "langchain", "langchain_classic"):
    sys.modules[name] = None
import langchain_memory_mgr
try:
    langchain_memory_mgr.{name}
except ImportError as error:
    print(type(error).__name__, error)
"""


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be imported."""
    for name in langchain_memory_mgr.__all__:
        assert getattr(langchain_memory_mgr, name) is not None
    assert set(langchain_memory_mgr.__all__) == langchain_memory_mgr._HOMES.keys()


@pytest.mark.parametrize("name", ["TieredMemoryStore", "TieredChatMessageHistory", "create_memory_tools"])
def test_what_is_missing_is_named_with_its_extra(name: str) -> None:
    """Importing the package needs no framework; using a name of it says what to install."""
    told = subprocess.check_output([sys.executable, "-c", _WITHOUT.format(name=name)], text=True)
    assert told.startswith("MissingDependencyError")
    assert 'pip install "memory-mgr[langchain]"' in told
