"""`TieredMemory`: the contract of `BaseMemory`, and what its callers rely on."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ThinkingBlock
from llama_index.core.memory import BaseMemory
from llama_index.core.memory.types import BaseMemory as DefinedBaseMemory

from llamaindex_memory_mgr import TieredMemory
from llamaindex_memory_mgr.counting import MessageCounter
from llamaindex_memory_mgr.insertion import InsertMethod
from memory_mgr import ConfigurationError, InvalidInputError, MemoryConfig, MemoryManager, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

from .helpers import ScriptedLLM, assistant, contents, tool_round, user

METHODS = ["get", "get_all", "put", "put_messages", "set", "reset"]


def test_every_method_of_the_base_class_is_its_own() -> None:
    """Sync and async, nothing is left to the base class's `to_thread` fallbacks."""
    for name in [*METHODS, *(f"a{name}" for name in METHODS), "from_defaults", "class_name"]:
        assert getattr(TieredMemory, name) is not getattr(BaseMemory, name)
        assert name in vars(TieredMemory), name
    assert issubclass(TieredMemory, DefinedBaseMemory)
    assert not hasattr(TieredMemory, "__len__")
    assert not hasattr(TieredMemory, "__bool__")


def test_what_was_put_is_what_is_got(chat: TieredMemory) -> None:
    """With nothing else remembered, the prompt is exactly the history."""
    said = [user("first message"), assistant("first answer"), user("second message")]
    chat.put_messages(said)
    assert chat.get() == chat.get_all() == said
    assert chat.get(input="something else") == said


def test_async_methods_do_the_same(chat: TieredMemory) -> None:
    """Each awaited method has the effect of its blocking twin, on any event loop."""
    said = [user("one"), assistant("two")]
    asyncio.run(chat.aput(said[0]))
    asyncio.run(chat.aput_messages(said[1:]))
    assert asyncio.run(chat.aget()) == chat.get() == said
    assert asyncio.run(chat.aget_all()) == said
    asyncio.run(chat.aset(said[:1]))
    assert chat.get_all() == said[:1]
    asyncio.run(chat.areset())
    assert chat.get_all() == chat.get() == []


def test_every_kind_of_block_comes_back_as_it_was(chat: TieredMemory) -> None:
    """Thinking, images, tool calls and additional_kwargs survive storing."""
    said = [
        ChatMessage(
            role="user", blocks=[TextBlock(text="see"), ImageBlock(image=b"aGVsbG8=", image_mimetype="image/png")]
        ),
        ChatMessage(role="assistant", blocks=[ThinkingBlock(content="hm", num_tokens=3), TextBlock(text="a cat")]),
        *tool_round("call-1", "sunny"),
        ChatMessage(role="assistant", content="done", additional_kwargs={"refusal": None, "deep": {"list": [1, 2.5]}}),
    ]
    chat.put_messages(said)
    assert chat.get_all() == said


def test_callers_cannot_change_what_is_remembered(chat: TieredMemory) -> None:
    """Neither through the message that was put nor through one that was got (LlamaIndex PR 23055)."""
    message = user("hello")
    chat.put(message)
    message.blocks[0].text = "changed"
    chat.get()[0].blocks[0].text = "changed"
    chat.get_all()[0].additional_kwargs["x"] = 1
    assert chat.get_all() == [user("hello")]


def test_set_makes_the_history_these_messages(chat: TieredMemory, store: SyncMemoryManager) -> None:
    """Setting again, longer, shorter or edited gives just that, and stores only what is new."""
    first = [user("a"), assistant("b"), user("c"), assistant("d")]
    chat.set(first)
    before = store.conversation("chat").entries()
    chat.set(first)
    assert store.conversation("chat").entries() == before
    for wanted in (first[:2], [*first, user("e")], [*first[:3], assistant("other")], [user("new")], []):
        chat.set(wanted)
        assert chat.get_all() == chat.get() == wanted


def test_set_never_wipes_what_is_known(chat: TieredMemory, store: SyncMemoryManager) -> None:
    """Long-term entries stay through set and reset, the archived turns of the conversation too."""
    store.add_memory("The user is allergic to nuts.")
    small = TieredMemory.from_defaults(memory=store, conversation_id="long", token_limit=200)
    for number in range(20):
        small.put_messages([user(f"question {number} on topic {number}"), assistant(f"answer {number} to that")])
    archived = store.stats().counts["long_term"]
    assert archived > 1
    assert len(small.get_all()) == 40
    small.set([user("a new beginning")])
    assert contents(small.get_all()) == ["a new beginning"]
    small.reset()
    assert small.get_all() == []
    assert store.stats().counts["long_term"] == archived


def test_a_history_cut_by_the_application_is_not_stored_twice(store: SyncMemoryManager) -> None:
    """Apps that pass their last messages with each request add only the new one; the rest stays archived."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="app", token_limit=300)
    said = [user(f"message number {n} about subject {n}") for n in range(60)]
    for end in range(1, 61):
        memory.set(said[max(0, end - 10) : end])
        assert memory.get_all() == said[max(0, end - 10) : end]
    entries = store.conversation("app").entries()
    assert sorted(e.content for e in entries) == sorted(str(m.content) for m in said)


def test_an_edit_inside_the_archive_hides_what_it_replaced(store: SyncMemoryManager) -> None:
    """The history is the edited one; what was archived before stays in long_term."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="edit", token_limit=200)
    said = [message for n in range(20) for message in (user(f"question {n} on topic {n}"), assistant(f"answer {n}"))]
    memory.put_messages(said)
    long_term = store.stats().counts["long_term"]
    edited = [*said[:3], assistant("another answer")]
    memory.set(edited)
    assert memory.get_all() == edited
    memory.set(edited)
    assert memory.get_all() == edited
    assert store.stats().counts["long_term"] >= long_term


def test_recalled_text_handed_back_is_not_stored(chat: TieredMemory, store: SyncMemoryManager) -> None:
    """A prompt that an application sets as history loses what memory had put into it."""
    store.add_memory("The dog is called Rex.")
    for method in ("system", "user"):
        memory = TieredMemory.from_defaults(memory=store, conversation_id=method, insert_method=method)
        memory.put(user("What is the dog called?"))
        prompt = memory.get()
        assert "Rex" in str(prompt[0].content)
        memory.set([*prompt, assistant("Rex")])
        assert contents(memory.get_all()) == ["What is the dog called?", "Rex"]


def test_recall_goes_into_one_system_message_at_the_front(store: SyncMemoryManager) -> None:
    """However many there are already."""
    store.add_memory("The dog is called Rex.")
    memory = TieredMemory.from_defaults(memory=store, conversation_id="s", insert_method="system")
    system = ChatMessage(role="system", content="Be brief.")
    memory.put_messages([system, user("hi"), assistant("hello"), system, user("What is the dog called?")])
    got = memory.get()
    assert [m.role for m in got].count("system") == 1
    assert got[0].role == "system"
    assert "Rex" in str(got[0].content)
    assert str(got[0].content).startswith("Be brief.")


@pytest.mark.parametrize("method", ["auto", "user"])
def test_recall_goes_with_the_question(store: SyncMemoryManager, method: InsertMethod) -> None:
    """Into the user's message if it is in the history; ReActAgent and CodeActAgent drop a system message."""
    store.add_memory("The dog is called Rex.")
    memory = TieredMemory.from_defaults(memory=store, conversation_id="u", insert_method=method)
    memory.put(user("What is the dog called?"))
    for given in (None, "What is the dog called?"):
        (message,) = memory.get(given)
        assert message.role == "user"
        assert str(message.content).endswith("What is the dog called?")
        assert "Rex" in str(message.content)


def test_recall_for_a_question_that_is_not_stored_yet_goes_to_the_front(store: SyncMemoryManager) -> None:
    """As context engines ask: not into an older user message, though it may have said the same."""
    store.add_memory("The dog is called Rex.")
    memory = TieredMemory.from_defaults(memory=store, conversation_id="n")
    memory.put_messages([user("What is the dog called?"), assistant("Rex.")])
    for asked in ("And how is the dog called again?", "What is the dog called?"):
        system, *said = memory.get(asked)
        assert system.role == "system"
        assert "Rex" in str(system.content)
        assert said == memory.get_all()


def test_filters_and_tiers_can_be_given_per_call(store: SyncMemoryManager) -> None:
    """What may be recalled is decided by each call (LlamaIndex issue 22823)."""
    store.add_memory("The budget of phase one is ten.", metadata={"phase": "one"})
    store.add_memory("The budget of phase two is fifty.", metadata={"phase": "two"})
    memory = TieredMemory.from_defaults(memory=store, conversation_id="f")
    memory.put(user("What is the budget of the phase?"))
    assert "fifty" not in str(memory.get(filters={"phase": "one"})[0].content)
    assert "ten" not in str(memory.get(filters={"phase": "two"})[0].content)
    assert len(memory.get(tiers=["episodic"])) == 1


def test_the_limit_leaves_room_for_what_the_caller_adds(chat: TieredMemory, counter: MessageCounter) -> None:
    """initial_token_count, reserve_tokens and an input that is not stored yet are taken off."""
    for number in range(30):
        chat.put_messages([user(f"question {number} " + "word " * 20), assistant("answer " * 20)])
    long_input = "unsent " * 100
    whole = counter.total(chat.get())
    assert whole <= 3000
    assert counter.total(chat.get(initial_token_count=2500)) <= 500
    assert counter.total(chat.get(reserve_tokens=2000)) <= 1000
    assert counter.total(chat.get(input=long_input)) + counter.text(long_input) <= 3000


def test_over_the_limit_from_the_start_the_newest_turn_is_left(
    chat: TieredMemory, caplog: pytest.LogCaptureFixture
) -> None:
    """Where ChatMemoryBuffer raises, the newest user message is sent and the log says so (LlamaIndex issue 9371)."""
    chat.put_messages([user("first"), assistant("one"), user("second")])
    assert contents(chat.get(initial_token_count=5000)) == ["second"]
    assert "over the token limit" in caplog.text


def test_bad_numbers_are_refused(chat: TieredMemory, store: SyncMemoryManager) -> None:
    """With what is wrong and the value."""
    with pytest.raises(InvalidInputError, match=r"initial_token_count.*-1"):
        chat.get(initial_token_count=-1)
    with pytest.raises(ConfigurationError, match="not both"):
        TieredMemory(memory=store, config=MemoryConfig())
    with pytest.raises(ConfigurationError, match="MemoryManager"):
        TieredMemory(memory="./memory")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="token_limit"):
        TieredMemory(memory=store, token_limit=0)


def test_from_defaults_takes_what_engines_pass(store: SyncMemoryManager) -> None:
    """An empty chat_history leaves what is stored; the limit follows the model's context window."""
    memory = TieredMemory.from_defaults(memory=store, conversation_id="d", chat_history=[user("a")])
    assert TieredMemory.from_defaults(memory=store, conversation_id="d", chat_history=[]).get_all() == [user("a")]
    assert memory.token_limit == 3000
    assert TieredMemory.from_defaults(memory=store, llm=ScriptedLLM()).token_limit == 3072
    assert TieredMemory.from_defaults(memory=store).conversation_id != memory.conversation_id


def test_a_custom_tokenizer_decides(store: SyncMemoryManager) -> None:
    """Limits hold in its tokens, for recalled text too."""
    store.add_memory("The dog is called Rex, which every neighbour knows.")
    memory = TieredMemory.from_defaults(memory=store, token_limit=120, tokenizer_fn=list, conversation_id="t")
    for number in range(10):
        memory.put(user(f"message {number} about the dog"))
        counted = sum(len(str(m.content)) for m in memory.get())
        assert counted <= 120
    assert memory.tokenizer_fn is not None
    assert len(memory.tokenizer_fn("abc")) == 3


def test_saved_and_restored_it_is_the_same_memory(chat: TieredMemory) -> None:
    """As dict, JSON text and pickle: primitives only, no messages in them; deepcopy is itself."""
    chat.put(user("a secret"))
    saved = chat.to_dict()
    assert json.loads(json.dumps(saved)) == saved
    assert "secret" not in json.dumps(saved)
    restored = [
        TieredMemory.from_dict(saved),
        TieredMemory.from_string(chat.to_string()),
        TieredMemory.from_json(chat.to_json()),
        pickle.loads(pickle.dumps(chat)),
    ]
    for memory in restored:
        assert memory.get() == [user("a secret")]
        assert memory.token_limit == chat.token_limit
    assert copy.deepcopy(chat) is chat


def test_no_secret_is_saved(tmp_path: object) -> None:
    """Headers and models never leave the process."""
    config = MemoryConfig(url="http://127.0.0.1:1", headers={"x-token": "s3cret"}, embedder=FakeEmbedder())
    saved = TieredMemory(config=config).to_dict()
    assert "s3cret" not in json.dumps(saved)
    assert saved["connection"]["settings"]["url"] == "http://127.0.0.1:1"


def test_a_memory_of_this_process_only_is_never_mistaken_for_another() -> None:
    """A handle of an in-memory store finds that store or says why not, never someone else's."""
    settings = {"path": ":memory:", "embedder": FakeEmbedder()}
    one, other = TieredMemory(config=MemoryConfig(**settings)), TieredMemory(config=MemoryConfig(**settings))
    one.put(user("mine"))
    assert TieredMemory.from_dict(one.to_dict()).get_all() == [user("mine")]
    assert other.get_all() == []
    saved = one.to_dict()
    saved["connection"]["place"] = "gone"
    with pytest.raises(ConfigurationError, match="only its own process"):
        TieredMemory.from_dict(saved).get_all()


def test_many_threads_put_at_once(chat: TieredMemory) -> None:
    """Every message arrives once."""
    threads = [threading.Thread(target=chat.put, args=(user(f"message {n}"),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, contents(chat.get_all()))) == sorted(f"message {n}" for n in range(16))


def test_the_async_manager_works_from_sync_code_and_back(config: MemoryConfig) -> None:
    """One memory object serves blocking calls, and awaited ones on two loops."""
    manager = MemoryManager(config)
    memory = TieredMemory.from_defaults(memory=manager, conversation_id="m")
    memory.put(user("one"))
    asyncio.run(memory.aput(user("two")))
    assert contents(asyncio.run(memory.aget())) == contents(memory.get()) == ["one", "two"]
    asyncio.run(manager.close())


def test_a_second_aget_embeds_nothing(store: SyncMemoryManager, embedder: FakeEmbedder) -> None:
    """Within one agent turn the question is asked of the store once, whatever is put after it."""
    store.add_memory("The dog is called Rex.")
    memory = TieredMemory.from_defaults(memory=store, conversation_id="once")
    memory.put(user("What is the dog called?"))
    first = asyncio.run(memory.aget())
    calls = embedder.calls
    assert asyncio.run(memory.aget(input="What is the dog called?")) == first
    assert embedder.calls == calls
    memory.put_messages([*tool_round("c", "Rex"), assistant("Rex")])
    stored = embedder.calls
    assert asyncio.run(memory.aget())[:-3] == first
    assert embedder.calls == stored
