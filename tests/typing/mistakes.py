"""Mistakes that a type checker must find: the comments say which rule finds each.

One that is not found any more is an error as well, since its comment is then unnecessary.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
# mypy: ignore-errors

from __future__ import annotations

from omega_persistence import OmegaStore, StoredMemory, StoredSkill


def mistakes(store: OmegaStore, memory: StoredMemory, skill: StoredSkill) -> None:
    # Fields are named, of their type, and never change.
    StoredMemory("m", "content")  # pyright: ignore[reportCallIssue]
    memory.content = ""  # pyright: ignore[reportAttributeAccessIssue]
    StoredMemory(
        content="",
        tier="1",  # pyright: ignore[reportArgumentType]
        importance=0.5,
        metadata_json=5,  # pyright: ignore[reportArgumentType]
    )
    # A collection takes its own records and has no other verbs.
    store.memories.put(skill)  # pyright: ignore[reportArgumentType]
    store.memories.fetch("m")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    # Options are named.
    OmegaStore("path", "agent-7")  # pyright: ignore[reportCallIssue]
    # What is remembered is text, with one of three policies; an embedder takes texts.
    store.remember(5)  # pyright: ignore[reportArgumentType]
    store.remember("a", speakr="Ann")  # pyright: ignore[reportCallIssue]
    store.remember("a", on_duplicate="drop")  # pyright: ignore[reportArgumentType]
    OmegaStore("path", embedder=5)  # pyright: ignore[reportArgumentType]
