"""Number of bits of floating-point numbers."""

from typing import Any

from torch import Tensor


def widen_floats(value: Any) -> Any:
    """Return a tensor whose numbers have at least 32 bits: 16-bit numbers are converted, all other values unchanged."""
    is_short = isinstance(value, Tensor) and value.is_floating_point() and value.element_size() < 4
    return value.float() if is_short else value
