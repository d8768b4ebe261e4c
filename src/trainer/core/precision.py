"""Number of bits of floating-point numbers."""

from torch import Tensor


def widen_floats(tensor: Tensor) -> Tensor:
    """Return a tensor whose numbers have at least 32 bits: 16-bit numbers are converted, others are unchanged."""
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor
