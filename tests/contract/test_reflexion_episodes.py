"""Reflexion episodes: what was tried, by memory and by trigger."""

from __future__ import annotations

from typing import Any

import pytest

from omega_persistence import OmegaStore
from samples import episode, memory


def ids(records: list[Any]) -> list[str]:
    return [record.id for record in records]


@pytest.mark.parametrize(("query", "asked"), [("by_memory", "memory"), ("by_trigger", "trigger")])
def test_the_newest_come_first_and_ties_by_id(store: OmegaStore, query: str, asked: str):
    store.memories.put_many([memory("memory"), memory("other")])
    times = {"b": 10, "a": 10, "newest": 11, "oldest": -(2**63)}
    store.reflexion_episodes.put_many(episode(id, created_at=t) for id, t in times.items())
    store.reflexion_episodes.put(episode("elsewhere", "other", trigger="Trigger"))
    ask = getattr(store.reflexion_episodes, query)
    assert ids(ask(asked)) == ["newest", "a", "b", "oldest"]
    assert ids(ask(asked, limit=2)) == ["newest", "a"]
    assert ask("nobody") == ask("trigge_") == []
    store.reflexion_episodes.put_many(episode(f"{i}") for i in range(100))
    assert len(ask(asked)) == 100
    assert len(ask(asked, limit=None)) == 104


@pytest.mark.parametrize("reward", [None, 0.0, -1e308, 1.7976931348623157e308, 5e-324])
def test_a_reward_is_any_finite_number_or_none(store: OmegaStore, reward: float | None):
    store.memories.put(memory())
    store.reflexion_episodes.put(episode(reward=1.0))
    store.reflexion_episodes.put(episode(reward=reward))
    assert store.reflexion_episodes.get("episode").reward == reward


def test_put_again_replaces_every_text_and_keeps_the_earlier_creation(store: OmegaStore):
    store.memories.put(memory())
    store.reflexion_episodes.put(episode(created_at=10, reward=0.5))
    changed = episode(trigger="", context="c", action="a", outcome="o", created_at=20)
    store.reflexion_episodes.put(changed)
    assert store.reflexion_episodes.get("episode") == episode(
        trigger="", context="c", action="a", outcome="o", created_at=10
    )
    assert ids(store.reflexion_episodes.by_trigger("")) == ["episode"]
