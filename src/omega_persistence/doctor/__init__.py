"""Notes about a store: nothing is damaged, but somebody may want to know."""

from omega_persistence.doctor.note import Note
from omega_persistence.doctor.records import about_records
from omega_persistence.doctor.surroundings import about_surroundings

__all__ = ["Note", "about_records", "about_surroundings"]
