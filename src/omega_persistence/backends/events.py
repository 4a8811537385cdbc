"""What happens inside, told to the logger ``omega_persistence``: docs/reference/logging.md.

The standard library's logging is never imported here, which would cost every start 5 ms. A program
that has not loaded it cannot be listening.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

LOGGER = "omega_persistence"

DEBUG, INFO, WARNING = 10, 20, 30
"""As in logging."""

NOTABLE, LONG = 0.1, 1.0
"""Seconds from which a statement or a wait is told of at DEBUG, and at INFO."""


def tell(level: int, event: str, text: str, **fields: object) -> None:
    """Log one event.

    Args:
        level: Never above WARNING; WARNING only for what should not happen.
        event: What a program tells it by; it is a field of the record too.
        text: For people; ``%(name)s`` stands for a field.
        fields: Attributes of the record. None of a record's own names, such as ``thread``.
    """
    logger = _logger()
    if logger is not None and logger.isEnabledFor(level):
        logger.log(level, text, fields, extra={"event": event, **fields}, stacklevel=2)


def level_of(seconds: float) -> int | None:
    """The level for something that took so long; None if it is not worth telling."""
    if seconds < NOTABLE:
        return None
    return DEBUG if seconds < LONG else INFO


def somebody_listens() -> bool:
    """Whether it is of use to measure how long statements take."""
    logger = _logger()
    return logger is not None and logger.isEnabledFor(INFO)


def _logger() -> Logger | None:
    logging: Any = sys.modules.get("logging")
    if logging is None:
        return None
    logger: Logger = logging.getLogger(LOGGER)
    if not logger.handlers:
        # Else Python would print warnings of a program that has not configured logging.
        logger.addHandler(logging.NullHandler())
    return logger
