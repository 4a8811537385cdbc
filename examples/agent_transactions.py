"""One step of an agent as one transaction: what happened, what it means and what it caused."""

from omega_persistence import (
    ConflictError,
    OmegaStore,
    StoredCausalEdge,
    StoredMemory,
    StoredReflexionEpisode,
    StoredVector,
)

with OmegaStore("agent.db") as store:
    with store.transaction() as tx:
        tx.memories.put(StoredMemory(id="deploy", content="Deployed 2.4", tier=3, importance=0.6))
        tx.memories.put(StoredMemory(id="errors", content="Errors rose", tier=3, importance=0.8))
        tx.vectors.put(StoredVector.from_array("errors", [0.1, 0.7, -0.2], id="v1", space="toy-3"))
        tx.causal_edges.put(
            StoredCausalEdge(
                id="e1", from_memory="deploy", to_memory="errors", weight=0.9, edge_type="broke"
            )
        )

    # A step that fails leaves nothing behind, whichever part of it failed.
    try:
        with store.transaction() as tx:
            tx.memories.put(StoredMemory(id="rollback", content="", tier=3, importance=0.5))
            tx.reflexion_episodes.put(
                StoredReflexionEpisode(
                    memory_id="no-such", trigger="", context="", action="", outcome=""
                )
            )
    except ConflictError as error:
        print(error)

    with store.snapshot() as snap:  # several reads of one state, while others write
        for edge in snap.causal_edges.incoming("errors"):
            print(snap.memories.get(edge.from_memory).content, "->", edge.edge_type)
        print(snap.memories.count(), snap.vectors.first_by_memory("errors").array)
