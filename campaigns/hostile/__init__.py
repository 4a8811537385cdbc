"""The parts of the campaigns with hostile files and hostile input."""
