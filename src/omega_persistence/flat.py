"""The flat methods of the Rust crate, each one line: new entities do not get any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omega_persistence.entities import Collections

if TYPE_CHECKING:
    from omega_persistence.entities.architectures import StoredArchitecture
    from omega_persistence.entities.causal_edges import StoredCausalEdge
    from omega_persistence.entities.intelligences import StoredIntelligence
    from omega_persistence.entities.memories import StoredMemory
    from omega_persistence.entities.reflexion_episodes import StoredReflexionEpisode
    from omega_persistence.entities.skills import StoredSkill
    from omega_persistence.entities.vector_records import StoredVector


class FlatMethods(Collections):
    """Names and results as in the crate: every list is whole, in the order of the collections."""

    def store_memory(self, memory: StoredMemory) -> None:
        """See `Memories.put`."""
        self.memories.put(memory)

    def get_memory(self, id: str) -> StoredMemory:
        """See `Memories.get`."""
        return self.memories.get(id)

    def query_memories_by_tier(self, tier: int) -> list[StoredMemory]:
        """See `Memories.by_tier`."""
        return self.memories.by_tier(tier, limit=None)

    def update_memory_access(self, id: str, timestamp: int) -> None:
        """See `Memories.touch`."""
        self.memories.touch(id, timestamp)

    def store_skill(self, skill: StoredSkill) -> None:
        """See `Skills.put`."""
        self.skills.put(skill)

    def get_skill(self, id: str) -> StoredSkill:
        """See `Skills.get`."""
        return self.skills.get(id)

    def get_skills_by_pattern(self, pattern: str) -> list[StoredSkill]:
        """See `Skills.by_pattern`."""
        return self.skills.by_pattern(pattern, limit=None)

    def increment_skill_success(self, id: str, timestamp: int) -> None:
        """See `Skills.record_success`."""
        self.skills.record_success(id, timestamp)

    def store_architecture(self, architecture: StoredArchitecture) -> None:
        """See `Architectures.put`."""
        self.architectures.put(architecture)

    def get_architecture(self, id: str) -> StoredArchitecture:
        """See `Architectures.get`."""
        return self.architectures.get(id)

    def get_architectures_by_paradigm(self, paradigm: str) -> list[StoredArchitecture]:
        """See `Architectures.by_paradigm`."""
        return self.architectures.by_paradigm(paradigm, limit=None)

    def store_intelligence(self, intelligence: StoredIntelligence) -> None:
        """See `Intelligences.put`."""
        self.intelligences.put(intelligence)

    def get_intelligence(self, id: str) -> StoredIntelligence:
        """See `Intelligences.get`."""
        return self.intelligences.get(id)

    def get_intelligences_by_arch(self, arch_id: str) -> list[StoredIntelligence]:
        """See `Intelligences.by_architecture`."""
        return self.intelligences.by_architecture(arch_id, limit=None)

    def store_vector(self, vector: StoredVector) -> None:
        """See `Vectors.put`."""
        self.vectors.put(vector)

    def get_vector_by_memory(self, memory_id: str) -> StoredVector:
        """See `Vectors.first_by_memory`."""
        return self.vectors.first_by_memory(memory_id)

    def store_reflexion(self, episode: StoredReflexionEpisode) -> None:
        """See `ReflexionEpisodes.put`."""
        self.reflexion_episodes.put(episode)

    def get_reflexions_by_memory(self, memory_id: str) -> list[StoredReflexionEpisode]:
        """See `ReflexionEpisodes.by_memory`."""
        return self.reflexion_episodes.by_memory(memory_id, limit=None)

    def store_causal_edge(self, edge: StoredCausalEdge) -> None:
        """See `CausalEdges.put`."""
        self.causal_edges.put(edge)

    def get_causal_edges_from(self, memory_id: str) -> list[StoredCausalEdge]:
        """See `CausalEdges.outgoing`."""
        return self.causal_edges.outgoing(memory_id, limit=None)

    def get_causal_edges_to(self, memory_id: str) -> list[StoredCausalEdge]:
        """See `CausalEdges.incoming`."""
        return self.causal_edges.incoming(memory_id, limit=None)
