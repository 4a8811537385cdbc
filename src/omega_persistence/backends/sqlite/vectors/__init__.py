"""Searching vectors: codes in the file, mirrored in memory, scanned in two levels.

``vectors`` holds the float32 numbers, the only truth. ``vector_codes`` holds a quarter of their
bytes, written in the same transaction (`codes`). Each process mirrors the codes of the spaces that
it searches (`mirror`, `mirrors`) and scans them whole (`scan`); what is best there is scored from
the float32 rows of the snapshot that asks (`nearest`). There is no graph and nothing to train: a
write, a rollback or a restore leaves nothing behind that could be stale.
"""
