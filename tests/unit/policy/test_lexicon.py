"""Word lists and patterns: what is asked first never hides what would be found."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memory_mgr.policy.lexicon import hints, load_pattern, load_sections, occurs, pattern_sections

HINTED = [
    (name, section)
    for name in ("importance_words", "suspicion_patterns")
    for section in pattern_sections(name)
    if hints(name, section)
]


@pytest.mark.parametrize(("name", "section"), HINTED)
@given(data=st.data())
def test_every_match_holds_a_hint(name: str, section: str, data: st.DataObject) -> None:
    """A text that a pattern matches is looked at, whichever line it matches and whatever stands around it."""
    line = data.draw(st.sampled_from([line for line in load_sections(name)[section] if line.isascii()]))
    text = data.draw(st.from_regex(line, alphabet=st.characters(codec="ascii"))).lower()
    assume(load_pattern(name, section).search(text))
    assert occurs(name, section, text)


def test_a_text_with_a_hint_alone_is_no_match() -> None:
    """The hint only says that it is worth looking."""
    assert HINTED
    for name, section in HINTED:
        for hint in hints(name, section):
            found = load_pattern(name, section).search(f"xx{hint}xx") is not None
            assert occurs(name, section, f"xx{hint}xx") == found
