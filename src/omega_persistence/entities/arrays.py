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
    if numbers.ndim != axes or not numbers.shape[-1] or not np.isfinite(numbers).all():
        form = "one row" if axes == 1 else "a matrix"
        message = (
            f"{what} {form} of numbers, all finite as float32; this array has the shape"
            f" {numbers.shape}"
        )
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
