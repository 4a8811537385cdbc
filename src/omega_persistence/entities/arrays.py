"""Numbers of a caller's as vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from omega_persistence.errors import InvalidDataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


def float32(array: ArrayLike, axes: Literal[1, 2]) -> NDArray[np.float32]:
    """A vector, or a matrix whose rows are vectors, as float32 in the order of a blob."""
    import numpy as np  # noqa: PLC0415 - not every process has vectors

    what = "a vector is" if axes == 1 else "vectors are the rows of"
    try:
        numbers = converted(array)
    except (TypeError, ValueError) as error:
        message = f"{what} made of numbers: {error}"
        raise InvalidDataError(message, field="array") from error
    finite = np.isfinite(numbers)
    if numbers.ndim == axes and numbers.shape[-1] and not finite.all():
        row = None if axes == 1 else int(np.flatnonzero(~finite.all(axis=1))[0])
        message = f"{'the vector' if row is None else f'row {row}'} holds NaN or infinity"
        raise InvalidDataError(message, field="array", index=row)
    if numbers.ndim != axes or not numbers.shape[-1]:
        form = "one row" if axes == 1 else "a matrix"
        message = f"{what} {form} of numbers, and this array has the shape {numbers.shape}"
        raise InvalidDataError(message, field="array")
    return numbers


def converted(array: ArrayLike) -> NDArray[np.float32]:
    """An array of any shape as float32 in the order of a blob; too large numbers as infinity.

    Raises:
        TypeError, ValueError: it is not made of numbers.
    """
    import numpy as np  # noqa: PLC0415 - not every process has vectors

    numbers = np.asarray(array)
    if numbers.dtype.str == "<f4":
        return numbers
    with np.errstate(over="ignore"):
        # Without "same_kind" texts, dates and half of each complex number would pass.
        return numbers.astype("<f4", casting="same_kind")
