"""Store memories in a file, and find them again by id, tier, importance and words."""

from omega_persistence import OmegaStore, StoredMemory, Tier

with OmegaStore("quickstart.db") as store:
    store.memories.put_many(
        [
            StoredMemory(
                id="caching",
                content="A cache in front of the index cut response times to a tenth",
                tier=Tier.SEMANTIC,
                importance=0.95,
                metadata_json={"source": "load test"},
            ),
            StoredMemory(
                id="standup",
                content="Ada asked for the response times of last week",
                tier=Tier.EPISODIC,
                importance=0.4,
                session="monday",
            ),
        ]
    )  # both are durable now, or neither was stored

    memory = store.memories.get("caching")
    print(memory.content, memory.metadata)

    print([each.id for each in store.memories.by_tier(Tier.SEMANTIC)])
    print([each.id for each in store.memories.by_importance(0.3)])
    for hit in store.memories.search("slow responses? a CACHE!"):  # any text, best first
        print(hit.snippet)

    store.memories.touch("caching")
    print(store.statistics().memory_count, "memories,", len(store.check()), "problems")
