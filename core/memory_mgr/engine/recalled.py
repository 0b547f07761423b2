"""What was last recalled for each conversation, so that its repetition in an answer is not taken for news."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable

from memory_mgr.policy.repeats import Said
from memory_mgr.types import Namespace

_CONVERSATIONS = 256
_CONTEXTS = 4
"""Contexts a conversation is remembered by: an agent asks several times before it answers."""


class Recalled:
    """Remembers while the process runs; after a restart an answer to an earlier context counts as new. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: OrderedDict[tuple[Namespace, str], deque[tuple[str, ...]]] = OrderedDict()

    def note(self, namespace: Namespace, conversation_id: str, texts: Iterable[str]) -> None:
        """These texts were given to a model."""
        key = (namespace, conversation_id)
        with self._lock:
            self._texts.setdefault(key, deque(maxlen=_CONTEXTS)).append(tuple(texts))
            self._texts.move_to_end(key)
            while len(self._texts) > _CONVERSATIONS:
                self._texts.popitem(last=False)

    def forget(self, namespace: Namespace) -> None:
        """Nothing was given to a model of this namespace."""
        with self._lock:
            for key in [key for key in self._texts if key[0] == namespace]:
                del self._texts[key]

    def said(self, namespace: Namespace, conversation_id: str) -> Said:
        """What the model has been given of late."""
        with self._lock:
            contexts = list(self._texts.get((namespace, conversation_id), ()))
        said = Said()
        for text in {text for texts in contexts for text in texts}:
            said.add(text)
        return said
