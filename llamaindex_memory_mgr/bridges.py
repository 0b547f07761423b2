"""LlamaIndex's models as the core's pieces, and `Settings` where nothing is given.

The core takes a LlamaIndex `LLM` as `llm=` and a `BaseEmbedding` as `embedder=` as they are. What is here fills in
the ones set on `Settings`, and lets a model score importance.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

from llama_index.core import Settings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms.llm import LLM

from llamaindex_memory_mgr.counting import Tokenizer, global_tokenizer
from memory_mgr import MemoryConfig, ScoringError

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LONGEST = 4000
"""Characters of a text a model is shown to score it."""


def memory_config(
    config: MemoryConfig | None = None,
    *,
    llm: LLM | None = None,
    embed_model: BaseEmbedding | None = None,
    tokenizer_fn: Tokenizer | None = None,
    **settings: Any,
) -> MemoryConfig:
    """Settings of a memory, completed with LlamaIndex's models where they leave something open.

    In order: what `config` or `settings` name, what is given here, what was set on `Settings` (LlamaIndex's own
    default, which would call OpenAI, is never resolved), the core's offline defaults.

    Args:
        config: Settings of the memory; default: an embedded store in ./memory.
        llm: Writes the summaries.
        embed_model: Embeds what is remembered.
        tokenizer_fn: Counts the tokens of what is recalled.
        settings: Single settings on top, as of `MemoryConfig`.
    """
    base = MemoryConfig(**settings) if config is None else config.replaced(**settings)
    wanted = {
        "embedder": embed_model or Settings._embed_model,
        "llm": llm or Settings._llm,
        "token_counter": tokenizer_fn or global_tokenizer(),
    }
    changes = {name: value for name, value in wanted.items() if value is not None and getattr(base, name) is None}
    return base.replaced(**changes) if changes else base


class LLMImportanceScorer:
    """Asks a model how much a text is worth remembering; for `MemoryConfig(importance=...)`.

    Args:
        llm: The model.
        prompt: With the fields `{previous}`, `{role}` and `{text}`; asks for a number from 0 to 10, the scale of
            Park et al. 2023, "Generative Agents". Default: the one of this package.
    """

    def __init__(self, llm: LLM, prompt: str | None = None) -> None:
        self._llm = llm
        self._prompt = prompt or resources.files("llamaindex_memory_mgr").joinpath("prompts/importance.txt").read_text(
            "utf-8"
        )

    def score(self, text: str, *, role: str | None = None, previous: str | None = None) -> float:
        """Importance in [0, 1].

        Raises:
            ScoringError: The model failed, or its answer has no number from 0 to 10.
        """
        fields = {"text": text[:_LONGEST], "role": role or "user", "previous": (previous or "(nothing)")[:_LONGEST]}
        prompt = re.sub(r"\{(text|role|previous)\}", lambda match: fields[match.group(1)], self._prompt)
        try:
            answer = self._llm.complete(prompt).text
        except Exception as error:
            raise ScoringError(f"the model failed to score a text: {error}") from error
        number = _NUMBER.search(answer)
        if number is None or float(number.group()) > 10:
            raise ScoringError(f"the model answered {answer!r:.80}; wanted a number from 0 to 10")
        return float(number.group()) / 10
