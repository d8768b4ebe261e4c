"""Base class of preprocessing, with its state for checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.directory_walk import list_files

Item = TypeVar("Item")
OPTION = {"option": True}


class Examples(NamedTuple):
    """Examples of user files, in order.

    Args:
        sources: File of each example.
        rows: Line on which each example ends, counted from 1; None if a file is one example.
        inputs: Stored inputs (examples, ...), see `Preprocessing.prepare`.
        facts: Values to print with the predictions, by name, one per example.
    """

    sources: list[str]
    rows: list[int | None]
    inputs: Tensor
    facts: dict[str, list[Any]] = {}  # noqa: RUF012  never changed


@dataclass(frozen=True)
class Preprocessing(ABC):
    """A frozen dataclass whose fields, plain containers and tensors, are its state.

    Fields with the metadata `OPTION` can be set for a prediction; the state contains them only if they differ from the
    default.
    """

    @abstractmethod
    def prepare(self, inputs: Tensor) -> Tensor:
        """Convert stored inputs to network inputs: (batch, ...) -> (batch, *spec.shape)."""

    @abstractmethod
    def read(self, files: Iterable[Path], batch_size: int) -> Iterator[Examples]:
        """Read user files in batches of at most `batch_size` examples.

        Raises:
            UserError: If a file or a line is invalid.
        """

    def read_inputs(self, inputs: Iterable[str | Path], batch_size: int) -> Iterator[Examples]:
        """Read what a user has entered; each input is a path here, see `read`."""
        return self.read(map(Path, inputs), batch_size)

    def read_values(self, values: Any, batch_size: int) -> Iterator[Examples]:
        """Read examples in memory, such as arrays or rows; their sources are empty, and `rows` are indices from 0.

        Args:
            values: The examples.
            batch_size: Maximum number of examples per batch.

        Raises:
            UserError: The values have another type, or one of them is invalid.
        """
        raise UserError(f"predict: cannot use a value of type {type(values).__name__}; expected paths, or a tensor")

    def to_original_units(self, outputs: Tensor, examples: Examples) -> Tensor:
        """Convert network outputs (batch, values) for these examples to the units of the files."""
        return outputs

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the values that `to_original_units` returns; by default they are numbered."""
        return ()

    def state(self) -> dict[str, Any]:
        """Return class and fields, for `restore_preprocessing`."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.metadata != OPTION or getattr(self, field.name) != field.default
        }
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}", **values}


def split_examples(inputs: Tensor, batch_size: int) -> Iterator[Examples]:
    """Yield stored inputs (examples, ...) that were in memory in batches; see `Preprocessing.read_values`."""
    for rows in torch.split(torch.arange(len(inputs)), batch_size):
        yield Examples([""] * len(rows), rows.tolist(), inputs[rows])


def restore_preprocessing(state: dict[str, Any]) -> Preprocessing:
    """Return the preprocessing of a state whose `_target_` is trusted."""
    values = {**state}
    preprocessing: Preprocessing = resolve_name(values.pop("_target_"))(**values)
    return preprocessing


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items; the last one may be smaller (`itertools.batched` requires Python 3.12)."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def iter_files(
    paths: Iterable[Path], endings: tuple[str, ...], list_directory: Callable[[Path], list[Path]] | None = None
) -> Iterator[Path]:
    """Yield files, and the selected files of directories, sorted by name.

    Args:
        paths: Files and directories.
        endings: Name endings of the files to select.
        list_directory: Returns the selected files of a directory. Defaults to those with `endings`, without
            subdirectories.

    Raises:
        UserError: If a path does not exist, or a directory has no such file.
    """
    list_directory = list_directory or partial(list_files, is_selected=lambda file: file.name.lower().endswith(endings))
    for path in paths:
        if path.is_dir():
            files = list_directory(path)
            if not files:
                raise UserError(f"{path}: no files ending in {' or '.join(endings)}")
            yield from files
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path}: no such file")
