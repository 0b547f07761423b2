"""LangChain's models as the core's pieces.

`Embeddings` go into `MemoryConfig(embedder=...)` and chat models into `MemoryConfig(llm=...)` as they are. What is
here keeps a model's work for the memory out of the run around it, and lets it score what is stored.
"""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseLanguageModel

from langchain_memory_mgr.apart import apart
from memory_mgr import ScoringError
from memory_mgr.defaults.asking import Model
from memory_mgr.defaults.judge import ModelJudge


class LangChainLLM:
    """A chat model or LLM of LangChain for `MemoryConfig(llm=...)` and `MemoryConfig(importance=...)`.

    As `llm` it summarises what leaves the window and advises `consolidate()`; as `importance` it is asked about
    everything that is stored, at once. Its tokens are streamed to nobody, and no callbacks of a chain see it.

    Args:
        model: The model.
        timeout_seconds: Longest wait for one answer; > 0.
    """

    def __init__(self, model: BaseLanguageModel[Any], *, timeout_seconds: float = 60) -> None:
        self._model = model
        self._judge = ModelJudge(Model(self, timeout_seconds=timeout_seconds, attempts=2))

    def complete(self, prompt: str, *, max_tokens: int) -> str:
        """The model's answer; how long it may be is said in the prompt, for models name the setting differently."""
        answer = apart(self._model.invoke, prompt)
        return answer if isinstance(answer, str) else str(answer.text)

    def score(self, text: str, *, role: str | None = None, previous: str | None = None) -> float:
        """Importance in [0, 1].

        Raises:
            ExtensionError: The model failed, or gave no answer that is of use.
        """
        rated = self._judge.importance([f"{role}: {text}" if role else text])
        if 0 not in rated:
            raise ScoringError(f"the model rated nothing when asked about {text!r:.80}")
        return rated[0]
