"""``python -m omega_persistence.cli``, for where the command is not on the path."""

from omega_persistence.cli import main

main()
