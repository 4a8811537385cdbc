"""Back a store up while it is in use, lose something, and put it back."""

from omega_persistence import NotFoundError, OmegaStore, StoredMemory


def show(done: int, total: int) -> None:
    """Print progress."""
    print(f"{done} of {total} pages")


with OmegaStore("production.db") as store:
    store.memories.put(StoredMemory(id="m1", content="Worth keeping", tier=4, importance=1.0))

    # One snapshot, verified and synced; writers go on meanwhile.
    store.backup("monday.db", overwrite=True, progress=show)
    print(len(OmegaStore.verify_backup("monday.db")), "problems in the backup")

    store.memories.delete("m1")
    try:
        store.memories.get("m1")
    except NotFoundError as error:
        print(error)

    # One transaction, also while this store and other processes have the file open.
    OmegaStore.restore("monday.db", "production.db", overwrite=True)
    print(store.memories.get("m1").content)
