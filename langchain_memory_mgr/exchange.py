"""One exchange with a chain, read from its inputs and outputs: what was asked, and what is to be remembered."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, convert_to_messages

from langchain_memory_mgr.messages import role_of
from memory_mgr import InvalidInputError
from memory_mgr.policy.rendering import without_blocks

_NOT_ASKED = {"stop"}
"""An input of every chain that is no part of its prompt."""


def question(inputs: Mapping[str, Any], own: Sequence[str], input_key: str | None) -> str:
    """The words of what is about to be answered; "" if there are none.

    Args:
        inputs: Of the chain.
        own: Keys that the memory fills in itself.
        input_key: Where the question is; None = every input that has words.
    """
    names = [input_key] if input_key is not None else [k for k in inputs if k not in own and k not in _NOT_ASKED]
    return "\n".join(words for name in names if (words := _words(inputs.get(name))))


def said(value: Any, kind: type[BaseMessage], key: str) -> list[BaseMessage]:
    """Text, a message or messages as messages, without what was only recalled.

    Args:
        value: Under `key` of the inputs or outputs.
        kind: The message that plain text becomes.
        key: Named in errors.

    Raises:
        InvalidInputError: It is none of these.
    """
    if isinstance(value, str):
        return [kind(content=without_blocks(value))]
    if isinstance(value, BaseMessage):
        return _without_recalled([value])
    if isinstance(value, Sequence):
        try:
            return _without_recalled(convert_to_messages(value))
        except (ValueError, TypeError, NotImplementedError) as error:
            raise InvalidInputError(f"{key!r} cannot be read as messages: {error}") from error
    raise InvalidInputError(
        f"{key!r} is a {type(value).__name__}; a memory keeps text, a message, or a list of messages. "
        "Set input_key and output_key to name the values that are"
    )


def value_of_input(inputs: Mapping[str, Any], own: Sequence[str], input_key: str | None) -> tuple[str, Any]:
    """The key and value of the input that is remembered.

    Raises:
        InvalidInputError: There are several and no `input_key`, or it is missing.
    """
    names = [key for key in inputs if key not in own and key not in _NOT_ASKED]
    if input_key is not None:
        return _named(inputs, input_key, "input_key")
    if len(names) != 1:
        raise InvalidInputError(f"One input key expected got {names}; set input_key= to the one to remember")
    return names[0], inputs[names[0]]


def value_of_output(outputs: Mapping[str, Any], output_key: str | None) -> tuple[str, Any]:
    """The key and value of the output that is remembered: the only one, or the one under "output", with a warning.

    Raises:
        InvalidInputError: There are others and no `output_key`, or it is missing.
    """
    if output_key is not None:
        return _named(outputs, output_key, "output_key")
    if len(outputs) == 1:
        return next(iter(outputs.items()))
    if "output" in outputs:
        warnings.warn(
            f"got multiple output keys: {list(outputs)}; remembering 'output'. Set output_key= to say which",
            stacklevel=2,
        )
        return "output", outputs["output"]
    raise InvalidInputError(f"Got multiple output keys: {list(outputs)}; set output_key= to the one to remember")


def exchanged(
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    own: Sequence[str],
    input_key: str | None,
    output_key: str | None,
) -> list[BaseMessage]:
    """The messages of one exchange, the user's first.

    Raises:
        InvalidInputError: It cannot be told which they are, or they are not messages.
    """
    asked_under, asked = value_of_input(inputs, own, input_key)
    answered_under, answered = value_of_output(outputs, output_key)
    return [*said(asked, HumanMessage, asked_under), *said(answered, AIMessage, answered_under)]


def _named(values: Mapping[str, Any], key: str, setting: str) -> tuple[str, Any]:
    if key not in values:
        raise InvalidInputError(f"{setting}={key!r} is not among {list(values)}")
    return key, values[key]


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, BaseMessage):
        return str(value.text).strip()
    if isinstance(value, list | tuple):
        asked = [m for m in value if isinstance(m, BaseMessage) and role_of(m) == "user"]
        return _words(asked[-1]) if asked else ""
    return ""


def _without_recalled(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Without text that a memory put in, and without messages of which nothing is left."""
    return [kept for message in messages if (kept := without_recalled(message)) is not None]


def without_recalled(message: BaseMessage) -> BaseMessage | None:
    """The message without text that a memory put in; None if nothing else was in it."""
    content = message.content
    if isinstance(content, str):
        clean: str | list[Any] = without_blocks(content)
    else:
        blocks = [_clean(block) for block in content]
        clean = [block for block, before in zip(blocks, content, strict=True) if block == before or _has_text(block)]
    if clean == content:
        return message
    return message.model_copy(update={"content": clean}) if clean else None


def _clean(block: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(block, str):
        return without_blocks(block)
    return block | {"text": without_blocks(block["text"])} if isinstance(block.get("text"), str) else block


def _has_text(block: str | dict[str, Any]) -> bool:
    return bool(block if isinstance(block, str) else block.get("text"))
