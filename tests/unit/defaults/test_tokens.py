"""Counting tokens: a text counted line by line has as many as the whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tiktoken import registry
from tiktoken_ext import openai_public

from memory_mgr.defaults.tokens import TiktokenCounter, find_encoding

LONG = "- Ann: a line that is counted once.\n" * 60
"""Texts are counted by lines from some length on."""
TRICKY = st.lists(st.sampled_from([*"\n\n\r\t  /'.,-[#aZ19é中\u0301\u2028\u3000\x1c", "a.\n/"]), max_size=60).map(
    "".join
)


_RANKS = 100_256
"""Tokens of cl100k_base that are not special."""


@pytest.fixture(scope="module", params=["cl100k_base", "o200k_base"])
def counter(request: pytest.FixtureRequest) -> Iterator[TiktokenCounter]:
    """A counter with its encoding at hand."""
    known = find_encoding("cl100k_base", allow_download=False)
    if known is None:
        pytest.skip("no encoding on this machine")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "o200k_base":
            # Its file may not be here: cl100k's tokens, cut at its own pattern, and one that reaches over a line's end.
            tokens = {known.decode_single_token_bytes(rank): rank for rank in range(_RANKS)} | {b".\n/": _RANKS}
            patch.setattr(openai_public, "load_tiktoken_bpe", lambda *_args, **_kwargs: tokens)
            made = tiktoken.Encoding(**openai_public.o200k_base() | {"special_tokens": {}})
            patch.setitem(registry.ENCODINGS, "o200k_base", made)
        counter = TiktokenCounter(request.param)
        assert counter.exact
        yield counter


@given(TRICKY | st.text(max_size=60), TRICKY)
def test_counted_by_lines_a_text_has_as_many_tokens_as_whole(counter: TiktokenCounter, text: str, more: str) -> None:
    """The line breaks that a text is cut at are those that no token reaches over."""
    whole = f"{LONG}{text}\n{LONG}{more}\n{text}"
    assert counter.count(whole) == len(counter._encoding().encode_ordinary(whole))
