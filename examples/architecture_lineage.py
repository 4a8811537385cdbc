"""Breed architectures, follow a lineage back to its origin, and instantiate the fittest."""

from omega_persistence import ConflictError, OmegaStore, StoredArchitecture, StoredIntelligence

FITNESS = [0.75, 0.71, 0.85]

with OmegaStore("architectures.db") as store:
    for generation, fitness in enumerate(FITNESS):
        store.architectures.put(
            StoredArchitecture(
                id=f"gen-{generation}",
                name=f"Transformer-v{generation}",
                paradigm="neural",
                substrate="pytorch",
                fitness_json={"overall": fitness},
                lineage_json={"parent": f"gen-{generation - 1}" if generation else None},
            )
        )

    best = max(store.architectures.by_paradigm("neural"), key=lambda each: each.fitness["overall"])
    store.intelligences.put(
        StoredIntelligence(
            id="alpha",
            name="Alpha",
            arch_id=best.id,
            maturity=0.1,
            capabilities_json=["planning"],
            memories_json=[],
            state_json={"status": "active"},
        )
    )
    while best.lineage["parent"]:
        print(best.name, best.fitness)
        best = store.architectures.get(best.lineage["parent"])
    print(best.name, best.fitness)
    try:
        store.architectures.delete("gen-2")
    except ConflictError as error:
        print(error)
