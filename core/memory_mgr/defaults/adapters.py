"""What users plug in, brought to our protocols: own objects, plain callables, LangChain's, LlamaIndex's, Chroma's.

Foreign objects are told apart by the methods they have; no framework is imported.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_mgr.defaults.embedder import LocalEmbedder
from memory_mgr.defaults.tokens import TiktokenCounter
from memory_mgr.errors import ConfigurationError, EmbeddingError, ExtensionError, MemoryMgrError
from memory_mgr.protocols import (
    LLM,
    Clock,
    ImportanceScorer,
    Redactor,
    Reranker,
    Summarizer,
    TextKind,
    TokenCounter,
    Vectors,
)

T = TypeVar("T")


class CheckedEmbedder:
    """Any embedder, its vectors checked, scaled to length 1, and remembered. Thread-safe.

    Args:
        embed: (texts, kind) -> anything numpy makes a matrix of.
        name: What a store remembers it by.
        dimensions: Length of its vectors; None = found by embedding one word.
        cache: Vectors remembered, least recently used dropped first; 0 = none.
    """

    def __init__(
        self, embed: Callable[[Sequence[str], TextKind], Any], name: str, dimensions: int | None, cache: int
    ) -> None:
        self._embed = embed
        self.name = name
        self._cache: OrderedDict[tuple[TextKind, str], NDArray[np.float32]] = OrderedDict()
        self._limit = cache
        self._lock = threading.Lock()
        self.dimensions = dimensions if dimensions is not None else self._measured()

    def _measured(self) -> int:
        return int(self._vectors(["dimension"], "document", None).shape[1])

    def embed(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Unit vectors of shape (len(texts), dimensions).

        Raises:
            EmbeddingError: The embedder failed, or returned something that is not one finite vector a text.
        """
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        known = self._remembered(texts, kind)
        missing = list(dict.fromkeys(text for text in texts if text not in known))
        if missing:
            fresh = dict(zip(missing, self._vectors(missing, kind, self.dimensions), strict=True))
            self._remember(fresh, kind)
            known |= fresh
        return np.stack([known[text] for text in texts])

    def _vectors(self, texts: Sequence[str], kind: TextKind, dimensions: int | None) -> Vectors:
        try:
            vectors = np.asarray(self._embed(texts, kind), np.float32)
        except MemoryMgrError:
            raise
        except Exception as error:
            raise EmbeddingError(f"embedder {self.name!r} failed on {len(texts)} texts: {error}") from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or dimensions not in {None, vectors.shape[1]}:
            raise EmbeddingError(
                f"embedder {self.name!r} returned shape {vectors.shape} for {len(texts)} texts, expected "
                f"({len(texts)}, {dimensions or 'dimensions'})"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            raise EmbeddingError(f"embedder {self.name!r} returned a vector that is zero or not finite")
        return np.asarray(vectors / lengths, np.float32)

    def _remembered(self, texts: Sequence[str], kind: TextKind) -> dict[str, NDArray[np.float32]]:
        known = {}
        with self._lock:
            for text in texts:
                if (vector := self._cache.get((kind, text))) is not None:
                    self._cache.move_to_end((kind, text))
                    known[text] = vector
        return known

    def _remember(self, vectors: dict[str, NDArray[np.float32]], kind: TextKind) -> None:
        with self._lock:
            # Copies: a row of a matrix keeps all of it, for as long as one text of the batch is asked for.
            self._cache.update({(kind, text): vector.copy() for text, vector in vectors.items()})
            while len(self._cache) > self._limit:
                self._cache.popitem(last=False)


def as_embedder(given: Any, *, cache: int = 0) -> CheckedEmbedder:
    """An embedder from ours, LangChain's `Embeddings`, LlamaIndex's `BaseEmbedding`, Chroma's, or a callable.

    Args:
        given: The object; None = the local MiniLM.
        cache: Vectors to remember.

    Raises:
        ConfigurationError: It is none of these.
    """
    if isinstance(given, CheckedEmbedder):
        return given
    embedder = LocalEmbedder() if given is None else given
    dimensions = getattr(embedder, "dimensions", None)
    return CheckedEmbedder(
        _embedding(embedder),
        _embedder_name(embedder),
        dimensions if isinstance(dimensions, int) else None,
        cache,
    )


def _embedding(embedder: Any) -> Callable[[Sequence[str], TextKind], Any]:
    if hasattr(embedder, "embed_documents") and hasattr(embedder, "embed_query"):  # LangChain

        def langchain(texts: Sequence[str], kind: TextKind) -> Any:
            if kind == "query":
                return [embedder.embed_query(text) for text in texts]
            return embedder.embed_documents(list(texts))

        return langchain
    if hasattr(embedder, "get_text_embedding_batch") and hasattr(embedder, "get_query_embedding"):  # LlamaIndex

        def llama_index(texts: Sequence[str], kind: TextKind) -> Any:
            if kind == "query":
                return [embedder.get_query_embedding(text) for text in texts]
            return embedder.get_text_embedding_batch(list(texts))

        return llama_index
    if callable(getattr(embedder, "embed", None)):
        return lambda texts, kind: embedder.embed(list(texts), kind=kind)
    if callable(embedder):  # Chroma's embedding functions, and plain ones
        return lambda texts, kind: embedder(list(texts))
    raise ConfigurationError(
        f"embedder {embedder!r:.80} has neither embed(texts, kind=...), nor LangChain's or LlamaIndex's methods, "
        "nor can it be called"
    )


def _embedder_name(embedder: Any) -> str:
    named = getattr(embedder, "name", None)
    if callable(named):  # Chroma's embedding functions
        named = named()
    for candidate in (named, *(getattr(embedder, a, None) for a in ("model_name", "model", "model_id"))):
        if isinstance(candidate, str) and candidate:
            return candidate
    return getattr(embedder, "__qualname__", type(embedder).__qualname__)


class _Called:
    """A plain callable under the one method name of a protocol."""

    def __init__(self, call: Callable[..., Any], method: str) -> None:
        self.exact = True
        setattr(self, method, call)


def _adapted(given: Any, method: str, what: str) -> Any:
    if callable(getattr(given, method, None)):
        return given
    if callable(given):
        return _Called(given, method)
    raise ConfigurationError(f"{what} {given!r:.80} has no method {method!r} and cannot be called")


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)


def as_clock(given: Any) -> Clock:
    """A clock from ours or a callable; None = the machine's."""
    clock: Clock = SystemClock() if given is None else _adapted(given, "now", "clock")
    return clock


def as_token_counter(given: Any) -> TokenCounter:
    """A token counter from ours, an encoding or tokenizer with `encode`, or a callable text -> int or tokens."""
    if given is None:
        return TiktokenCounter()
    if callable(getattr(given, "count", None)) and not isinstance(given, str | list | tuple):
        counter: TokenCounter = given
        return counter
    encode = getattr(given, "encode_ordinary", None) or getattr(given, "encode", None) or given
    if isinstance(given, str) or not callable(encode):
        raise ConfigurationError(f"token_counter {given!r:.80} has no method count or encode and cannot be called")

    def count(text: str) -> int:
        tokens = encode(text)
        return tokens if isinstance(tokens, int) else len(tokens)

    called: TokenCounter = _Called(count, "count")  # type: ignore[assignment]
    return called


def as_importance_scorer(given: Any) -> ImportanceScorer:
    """An importance scorer from ours or a callable."""
    scorer: ImportanceScorer = _adapted(given, "score", "importance")
    return scorer


def as_reranker(given: Any) -> Reranker:
    """A reranker from ours, a callable, or anything with `predict(pairs)` (sentence-transformers' CrossEncoder)."""
    if callable(getattr(given, "predict", None)) and not hasattr(given, "rerank"):
        return _Called(lambda query, texts: given.predict([(query, t) for t in texts]), "rerank")  # type: ignore[return-value]
    reranker: Reranker = _adapted(given, "rerank", "reranker")
    return reranker


def as_redactor(given: Any) -> Redactor:
    """A redactor from ours, a callable, or "builtin"."""
    if given == "builtin":
        from memory_mgr.policy.redaction import builtin

        return builtin()
    redactor: Redactor = _adapted(given, "redact", "redactor")
    return redactor


def as_llm(given: Any) -> LLM:
    """A language model from ours, LangChain's chat models, LlamaIndex's LLMs, or a callable prompt -> text."""
    if hasattr(given, "invoke"):  # LangChain
        return _Called(lambda prompt, *, max_tokens: _text(given.invoke(prompt)), "complete")  # type: ignore[return-value]
    if hasattr(given, "metadata") and hasattr(given, "complete"):  # LlamaIndex
        return _Called(lambda prompt, *, max_tokens: _text(given.complete(prompt)), "complete")  # type: ignore[return-value]
    if not hasattr(given, "complete") and callable(given):
        return _Called(lambda prompt, *, max_tokens: _text(given(prompt)), "complete")  # type: ignore[return-value]
    llm: LLM = _adapted(given, "complete", "llm")
    return llm


def _text(answer: Any) -> str:
    """The text of a framework's answer."""
    if isinstance(answer, str):
        return answer
    for attribute in ("text", "content"):
        value = getattr(answer, attribute, None)
        if callable(value) and not isinstance(value, str):  # LangChain's text is a string that can still be called
            value = value()
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in value)
    raise ExtensionError(f"the model answered with a {type(answer).__name__} that has no text: {answer!r:.80}")


def as_summarizer(given: Any) -> Summarizer:
    """A summarizer from ours or a callable."""
    summarizer: Summarizer = _adapted(given, "summarize", "summarizer")
    return summarizer
