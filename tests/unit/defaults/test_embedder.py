"""The local model: texts embedded together get the vectors they get alone, in order. What is remembered is small."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from memory_mgr.defaults import embedder as embedder_module
from memory_mgr.defaults.adapters import as_embedder
from memory_mgr.defaults.embedder import DIMENSIONS, LocalEmbedder, find_files
from memory_mgr.testing import FakeEmbedder


def test_texts_of_all_lengths_together_are_as_each_alone() -> None:
    """Whatever batches they are sorted into; no text at all is no vector."""
    embedder = LocalEmbedder()
    texts = [" ".join(["coffee", "in", "Berlin", f"number {n}"] * (1 + n % 7)) for n in range(21)]
    together = embedder.embed(texts, kind="document")
    alone = np.vstack([embedder.embed([text], kind="document") for text in texts])
    assert together.shape == (len(texts), DIMENSIONS)
    assert np.einsum("ij,ij->i", together, alone).min() > 0.9999
    assert embedder.embed([], kind="document").shape == (0, DIMENSIONS)


def test_the_graph_on_int8_weights_says_what_the_packaged_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one word, of a sentence, of more than the model reads, together and padded; the words are not mixed up."""
    texts = [
        "coffee",
        "My sister moved to Lisbon in March.",
        "What did we say about the flat?",
        "Kaffee über alles " * 90,
    ]
    if not hasattr(pytest.importorskip("onnxruntime").SessionOptions, embedder_module._WITH_WEIGHTS):
        pytest.skip("this onnxruntime runs the packaged graph")
    ours = LocalEmbedder().embed(texts, kind="document")
    monkeypatch.setattr(embedder_module, "_WITH_WEIGHTS", "of a later onnxruntime")
    packaged = LocalEmbedder().embed(texts, kind="document")
    assert not np.array_equal(ours, packaged)
    assert np.einsum("ij,ij->i", ours, packaged).min() > 0.998
    assert np.abs(ours @ ours.T - packaged @ packaged.T).max() < 0.02


def test_the_graph_is_what_its_script_makes(tmp_path: Path) -> None:
    """Nobody edits it by hand, and the script still runs."""
    onnx = pytest.importorskip("onnx")
    script = Path(__file__).parents[3] / "scripts" / "minilm_graph.py"
    made = tmp_path / "minilm.onnx"
    subprocess.run([sys.executable, str(script), str(find_files()[0]), str(made)], check=True)
    committed = Path(embedder_module.__file__).with_name("minilm.onnx")
    assert onnx.load(made, load_external_data=False) == onnx.load(committed, load_external_data=False)


def test_a_remembered_vector_does_not_keep_its_batch() -> None:
    """Of a thousand texts embedded together one vector is remembered: not the matrix it was a row of."""
    embedder = as_embedder(FakeEmbedder(dimensions=384), cache=1)
    texts = [f"river {n}" for n in range(1000)]
    matrix = embedder.embed(texts, kind="document")
    embedder.embed(texts[:2], kind="document")
    tracemalloc.start()
    try:
        embedder.embed(texts, kind="document")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < matrix.nbytes / 2
