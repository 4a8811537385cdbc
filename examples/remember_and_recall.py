"""Remember a conversation and recall what answers a question, with an embedder of one's own."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omega_persistence import Embedder, OmegaStore


def hashed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Stands in for a model: each three letters of a text add 1 somewhere, always the same."""
    vectors = np.zeros((len(texts), 256), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for place in range(len(text) - 2):
            row[zlib.crc32(text[place : place + 3].lower().encode()) % 256] += 1
    return vectors


TALK = [
    ("Ann", "I adopted a cat from the shelter"),
    ("Bob", "What is she called?"),
    ("Ann", "Miso, like the soup"),
    ("Bob", "I am learning to bake bread"),
]

with OmegaStore("recall.db", embedder=Embedder(hashed, "hashed-3", batch=32)) as store:
    store.remember_many(
        {"content": text, "speaker": speaker, "session": "chat-7", "on_duplicate": "skip"}
        for speaker, text in TALK
    )  # four memories, their words and their vectors in one transaction; the second time, none
    for hit in store.recall("What is Ann's cat called?", limit=3):
        print(hit.memory.content)
    explained = store.recall("baking", limit=1, explain=True)
    print(explained.hits[0].memory.content, explained.hits[0].why)
    print(store.memories.count(), "memories,", store.vectors.count(), "vectors")
