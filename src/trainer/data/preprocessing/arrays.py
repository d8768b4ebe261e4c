"""Arrangement of arrays as vectors, images or sequences, and their standardization."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import Kind
from trainer.data.io.arrays.array_file import ARRAY_EXTENSIONS, ArrayFile, make_missing_error, open_array
from trainer.data.preprocessing.base import Examples, Preprocessing, iter_files, split_examples
from trainer.data.preprocessing.float_range import mean_and_std

MAX_CHANNELS = 4  # of images with the channels in the last axis
CHUNK_EXAMPLES = 1000


@dataclass(frozen=True)
class ArrayPreprocessing(Preprocessing):
    """Stored inputs are numbers (examples, *shape) as in the file.

    Args:
        kind: Kind of the inputs.
        shape: Shape of an input.
        mean: Mean of the last axis, or of the channels of images, in a shape that fits to `shape`; subtracted.
        std: Standard deviation by which the numbers are divided then.
        name: Name of the array in .npz files.
    """

    kind: Kind
    shape: tuple[int, ...]
    mean: Tensor
    std: Tensor
    name: str

    def prepare(self, inputs: Tensor) -> Tensor:
        """Standardize the numbers."""
        return ((inputs - self.mean.to(inputs.device)) / self.std.to(inputs.device)).float()

    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Yield the examples of array files; `rows` are indices from 0."""
        for path in iter_files(files, ARRAY_EXTENSIONS):
            array = open_array(path, [self.name], "FILES")
            if array is None:
                raise make_missing_error(path, [self.name], "FILES")
            inputs = read_inputs(array, self.kind)
            if (shape := tuple(inputs.shape[1:])) != self.shape:
                raise UserError(f"{array}: examples of shape {shape}, but the network takes {self.shape}")
            for examples in split_examples(inputs, batch_size):
                yield examples._replace(sources=[str(path)] * len(examples.rows))

    def read_values(self, values: Any, batch_size: int) -> Iterator[Examples]:
        """Yield the examples of an array (examples, ...), or of a list of arrays."""
        try:
            array = np.asarray(values)
            inputs = arrange(array, self.kind) if array.dtype.kind in "buif" and array.ndim else None
        except ValueError:  # a list of arrays of different shapes
            inputs = None
        if inputs is None or tuple(inputs.shape[1:]) != self.shape:
            problem = f"shape {tuple(inputs.shape[1:])}" if inputs is not None else f"type {type(values).__name__}"
            raise UserError(f"predict: examples of {problem}, but the network takes arrays (examples, *{self.shape})")
        _check_finite(inputs, "predict")
        yield from split_examples(inputs, batch_size)


def _check_finite(inputs: Tensor, name: object) -> None:
    if inputs.is_floating_point() and not (is_finite := inputs.flatten(1).isfinite().all(1)).all():
        row = int((~is_finite).nonzero()[0])
        raise UserError(f"{name}: example {row} (counted from 0) contains NaN or infinity; replace or remove it")


def infer_kind(array: ArrayFile) -> Kind:
    """Return the kind of the examples in an array (examples, ...), from its shape and type.

    Raises:
        UserError: If it cannot be inferred.
    """
    axes = len(array.shape)
    if axes == 3:
        return "image" if array.dtype == np.uint8 else "sequence"
    kinds: dict[int, Kind] = {1: "vector", 2: "vector", 4: "image"}
    if axes not in kinds:
        raise UserError(f"data.kind: {array} has {axes} axes; expected 1 to 4, or data.kind=vector")
    return kinds[axes]


def infer_shape(array: ArrayFile, kind: Kind) -> tuple[int, ...]:
    """Return the shape of an input; see `arrange`.

    Raises:
        UserError: If the array does not contain numbers, or is not of this kind.
    """
    if array.dtype.kind not in "buif":
        raise UserError(f"data.x: {array}: expected numbers, found type {array.dtype}")
    if not prod(array.shape):
        raise UserError(f"data.x: {array}: is empty; its shape is {array.shape}")
    axes = {"vector": range(1, 100), "image": (3, 4), "sequence": (2, 3)}[kind]
    if len(array.shape) not in axes:
        raise UserError(f"data.kind: {array} has shape {array.shape}, which are no examples of kind {kind}")
    return tuple(arrange(np.zeros((1, *array.shape[1:]), array.dtype), kind).shape[1:])


def read_inputs(array: ArrayFile, kind: Kind) -> Tensor:
    """Read the inputs of an array (examples, *shape).

    Raises:
        UserError: If a number is infinite or NaN.
    """
    infer_shape(array, kind)
    inputs = arrange(array.read(), kind)
    _check_finite(inputs, array)
    return inputs


def arrange(array: NDArray[np.generic], kind: Kind) -> Tensor:
    """Return an array (examples, ...) as inputs (examples, *shape).

    Vectors are flattened, images get channels in the first axis of an example, sequences of numbers become sequences of
    vectors. Bytes and floats are not converted, other types become floats.
    """
    size = array.dtype.itemsize
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    elif array.dtype != np.uint8 and (array.dtype.kind != "f" or size not in (4, 8)):
        array = array.astype(np.float32 if size <= 2 else np.float64)
    inputs = torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
    if kind == "vector":
        return inputs.reshape(len(inputs), -1)
    if kind == "sequence":
        return inputs if inputs.dim() == 3 else inputs[..., None]
    if inputs.dim() == 3:
        return inputs[:, None]
    return inputs.permute(0, 3, 1, 2).contiguous() if inputs.shape[-1] <= MAX_CHANNELS else inputs


def compute_statistics(inputs: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel of images, or of each feature, in a shape that fits to inputs.

    Args:
        inputs: Training inputs (examples, *shape).
        kind: Their kind.
    """
    axis = 1 if kind == "image" else inputs.dim() - 1
    if inputs.dtype == torch.uint8:
        means, stds = _byte_statistics(inputs.movedim(axis, -1))
    else:
        means, stds = mean_and_std(inputs.movedim(axis, -1).reshape(-1, inputs.shape[axis]).double())
    shape = [inputs.shape[axis], *[1] * (inputs.dim() - 1 - axis)]
    return means.view(shape), stds.view(shape)


def _byte_statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the last axis of bytes, chunk by chunk; 1 for constant bytes."""
    sums = torch.zeros(2, values.shape[-1], dtype=torch.float64)
    for chunk in torch.split(values, CHUNK_EXAMPLES):
        numbers = chunk.reshape(-1, values.shape[-1]).double()
        sums += torch.stack([numbers.sum(0), numbers.square().sum(0)])
    means, squares = sums / (values.numel() / values.shape[-1])
    stds = (squares - means.square()).clamp(min=0).sqrt()
    return means, torch.where(stds > 0, stds, 1.0)
