"""Importance without a model: ordinary examples, explanations, other languages, and bounds."""

from __future__ import annotations

import json
import time
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.importance import BASELINE, ImportanceConfig, ImportanceModel, WordCounts, combine

MODEL = ImportanceModel()

SMALL_TALK = [
    "ok",
    "Thanks!",
    "Hi there, how are you?",
    "Sounds great, thanks so much!",
    "Wow, that's amazing!",
    "Good morning",
    "You're welcome! Have a great day!",
    "I love you so much, you are the best",
    "I think it's important to stay positive and keep learning.",
]
FACTS = [
    "My sister Anna moved to Berlin in June 2023.",
    "My name is Alice and I work at Acme as an engineer.",
    "I graduated from Stanford in 2015 with a degree in physics.",
    "We adopted a puppy named Rex last week.",
    "I bought a red Toyota Corolla yesterday",
    "The meeting with ACME was moved to 5 May at 10:00 because John is travelling to Oslo.",
    "I have a dentist appointment with Dr. Kim on Friday at 3pm.",
    "My phone number is +1 555 0100 200.",
    "I'm allergic to peanuts.",
]
TERSE_FACTS = [
    "My favourite colour is green.",
    "I live in Paris.",
    "I prefer tea over coffee.",
    "I no longer eat meat.",
]
REQUESTS = [
    "Remember that I'm allergic to peanuts.",
    "Please remember my passport expires in March.",
    "Don't forget that my daughter's recital is on 12 June.",
    "Note: our server moved to Frankfurt.",
]
QUESTIONS = ["What's the capital of France?", "Can you help me write an email?", "How was your weekend?"]


@pytest.mark.parametrize("text", SMALL_TALK)
def test_small_talk_is_low(text: str) -> None:
    """Greetings, thanks, praise and platitudes score below .25."""
    assert MODEL.score(text) < 0.25


@pytest.mark.parametrize("text", FACTS)
def test_facts_are_high(text: str) -> None:
    """A fact with a name, a date, a number or a risk scores above .65."""
    assert MODEL.score(text) > 0.65


@pytest.mark.parametrize("text", TERSE_FACTS)
def test_terse_facts_are_above_the_middle(text: str) -> None:
    """Few words do not make a fact small talk."""
    assert MODEL.score(text) > 0.5


@pytest.mark.parametrize("text", REQUESTS)
def test_requests_to_remember_are_near_the_top(text: str) -> None:
    """Being asked to remember outweighs everything else."""
    assert MODEL.score(text) > 0.93


@pytest.mark.parametrize("text", QUESTIONS)
def test_questions_are_low(text: str) -> None:
    """A question tells little about the one who asks."""
    assert MODEL.score(text) < 0.4


@pytest.mark.parametrize(
    "text",
    [
        "I remember the day we met!",
        "Always remember to breathe, you got this!",
        "Don't forget to take breaks!",
        "On another note, how are you?",
    ],
)
def test_remembering_in_passing_is_not_a_request(text: str) -> None:
    """Only asking to be remembered counts, not memories or good advice."""
    assert "remember" not in MODEL.explain(text)


def test_an_answer_is_worth_more_than_the_same_words_unasked() -> None:
    """What was asked for is remembered."""
    assert MODEL.score("Five years", previous="How long have you been married?") > MODEL.score("Five years")


def test_a_model_can_say_it_again() -> None:
    """The assistant's words score below the user's, tool output below both."""
    text = "The capital of France is Paris, founded in the 3rd century BC."
    user, assistant, tool = (MODEL.score(text, role=role) for role in ("user", "assistant", "tool"))
    assert user > assistant > tool


def test_news_is_worth_more_than_what_was_said_before() -> None:
    """Words seen often before count for less."""
    text = "I painted the harbour in Lisbon."
    counts = WordCounts()
    first = MODEL.score(text, frequency=counts)
    for _ in range(20):
        counts.add(text)
    assert MODEL.score(text, frequency=counts) < first - 0.1


def test_word_counts_add_to_what_is_known() -> None:
    """Counts of this batch come on top of the base; forms of a word count together."""
    counts = WordCounts(base=lambda word: 3 if word == "painting" else 0)
    counts.add("Ann: I painted a boat")
    assert counts("painting") == 4
    assert counts("boats") == 1
    assert counts("harbour") == 0


def test_the_speakers_name_is_not_news() -> None:
    """Calling the other by name does not make thanks important; telling about a person does."""
    before = "Melanie: I ran a race."
    assert "names" not in {k for k, v in MODEL.explain("Caroline: Nice, Mel!", previous=before).items() if v > 0}
    assert MODEL.explain("Caroline: I met Robert at the station", previous=before)["names"] > 0


def test_a_speaker_in_front_does_not_hide_anything() -> None:
    """`"Ann: ..."` scores as the bare text does."""
    for text in FACTS + SMALL_TALK + REQUESTS:
        assert MODEL.score(f"Quentin: {text}") == pytest.approx(MODEL.score(text, speaker="Quentin"), abs=1e-9)


def test_how_it_was_taken_helps() -> None:
    """When the next message is known and reacts to the news, the score rises."""
    text = "We moved the workshop to the old mill."
    assert MODEL.score(text, following="Wow, congrats! When did the workshop move?") > MODEL.score(
        text, following="Anyway, goodnight."
    )


@pytest.mark.parametrize(
    ("fact", "chat"),
    [
        ("Me llamo Juan y vivo en Madrid desde 2019.", "Hola"),
        ("Ich wohne in Hamburg und habe zwei Kinder.", "Danke!"),
        ("Je travaille chez Airbus à Toulouse depuis 3 ans.", "ça va ?"),
        ("私の名前は田中です。東京に住んでいます。", "こんにちは"),
    ],
)
def test_other_languages_keep_their_order(fact: str, chat: str) -> None:
    """Without word lists a fact still scores above small talk, and near the middle or above."""
    assert MODEL.score(fact) > 0.4
    assert MODEL.score(fact) > MODEL.score(chat) + 0.1


@given(st.text(), st.none() | st.text(), st.sampled_from([None, "user", "assistant", "system", "tool"]))
def test_scores_are_bounded_and_explained(text: str, previous: str | None, role: str | None) -> None:
    """Any text has a score in [0, 1], the same every time, and it is the sum of its parts."""
    score = MODEL.score(text, previous=previous, role=role)
    assert 0 <= score <= 1
    assert score == combine(MODEL.explain(text, previous=previous, role=role))


@pytest.mark.parametrize("text", ["", "   ", "👍", "?!"])
def test_no_words_no_importance(text: str) -> None:
    """A text without a word in it gets the configured floor."""
    assert MODEL.score(text) == pytest.approx(0.05)
    assert ImportanceModel(ImportanceConfig(empty_score=0.3)).score(text) == pytest.approx(0.3)


def test_a_page_is_not_worth_more_than_a_paragraph() -> None:
    """Length saturates."""
    sentence = "The {} engine from {} drives a {} pump near {} station. "
    words = [f"word{i}" for i in range(4000)]
    paragraph = "".join(sentence.format(*words[i : i + 4]) for i in range(0, 60, 4))
    page = "".join(sentence.format(*words[i : i + 4]) for i in range(0, 2000, 4))
    assert abs(MODEL.score(page) - MODEL.score(paragraph)) < 0.05


def test_explanation_names_the_parts() -> None:
    """The parts of an explanation carry the names of the features."""
    parts = MODEL.explain("Remember that I'm allergic to peanuts.", role="user")
    assert parts[BASELINE] < 0
    assert parts["remember"] > 1
    assert parts["critical"] > 1


def test_weights_say_where_they_come_from() -> None:
    """The data file names its source, and only known features have weights."""
    data = json.loads((files("memory_mgr.policy") / "data" / "importance_weights.json").read_text())
    assert "LoCoMo" in data["provenance"]["fitted"]
    assert not set(data["fitted"]) & set(data["judged"])


def test_scoring_is_fast() -> None:
    """A message takes well under a millisecond (0.1 ms on one slow core; the bound leaves room for load)."""
    texts = (FACTS + SMALL_TALK + QUESTIONS) * 20
    MODEL.score("warm up")
    start = time.process_time()
    for text in texts:
        MODEL.score(text)
    assert (time.process_time() - start) / len(texts) < 1e-3
