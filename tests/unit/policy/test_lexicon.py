"""Word lists and patterns: what is asked first never hides what would be found."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memory_mgr.policy.lexicon import load_pattern, load_sections, occurs

HINTED = [section.removesuffix(" hints") for section in load_sections("importance_words") if section.endswith(" hints")]


@pytest.mark.parametrize("section", HINTED)
@given(data=st.data())
def test_every_match_holds_a_hint(section: str, data: st.DataObject) -> None:
    """A text that a pattern matches is looked at, whichever line it matches and whatever stands around it."""
    line = data.draw(st.sampled_from(load_sections("importance_words")[section]))
    text = data.draw(st.from_regex(line, alphabet=st.characters(codec="ascii"))).lower()
    assume(load_pattern("importance_words", section).search(text))
    assert occurs("importance_words", section, text)


def test_a_text_with_a_hint_alone_is_no_match() -> None:
    """The hint only says that it is worth looking."""
    assert HINTED
    for section in HINTED:
        for hint in load_sections("importance_words")[f"{section} hints"]:
            found = load_pattern("importance_words", section).search(f"xx{hint}xx") is not None
            assert occurs("importance_words", section, f"xx{hint}xx") == found
