"""Preprocessing: what every kind of it can do, and how it goes into a checkpoint and comes back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

from trainer.core.errors import UserError
from trainer.data.io.directory_walk import files_of

Thing = TypeVar("Thing")
OPTION = {"option": True}


class Examples(NamedTuple):
    """Some examples of a user's files, in their order.

    Args:
        sources: The file of each.
        rows: The line it ends on, counted from 1; None where a file is one example.
        inputs: As they are stored, before `prepare`: (examples, ...).
        facts: What is shown beside the predictions, by name, one entry an example.
    """

    sources: list[str]
    rows: list[int | None]
    inputs: Tensor
    facts: dict[str, list[Any]] = {}  # noqa: RUF012  never changed


@dataclass(frozen=True)
class Preprocessing(ABC):
    """A frozen dataclass whose fields are plain containers and tensors: they are its state.

    A field with the metadata `OPTION` may be set for a prediction; it is in the state only where training has set it.
    """

    @abstractmethod
    def prepare(self, inputs: Tensor) -> Tensor:
        """Make stored inputs into what the network takes: (batch, ...) -> (batch, *spec.shape)."""

    @abstractmethod
    def read(self, files: Iterable[Path], at_once: int) -> Iterator[Examples]:
        """Read a user's files, at most `at_once` examples at a time; no more of them are held in memory.

        Raises:
            UserError: A file or a line is not what it should be; names it.
        """

    def in_units(self, outputs: Tensor, examples: Examples) -> Tensor:
        """Values (batch, values) as a user knows them, of what the network says of these examples."""
        return outputs

    def state(self) -> dict[str, Any]:
        """Its own class and its fields, for `restored`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        usual = {each.name: each.default for each in fields(self) if each.metadata == OPTION}
        kept = {name: value for name, value in values.items() if name not in usual or value != usual[name]}
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}", **kept}


def restored(state: dict[str, Any]) -> Preprocessing:
    """The preprocessing of a state whose `_target_` is trusted."""
    made: Preprocessing = resolve_name(state["_target_"])(**{k: v for k, v in state.items() if k != "_target_"})
    return made


def in_parts(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """So many at a time, the last part may be smaller (`itertools.batched` is of Python 3.12)."""
    ahead = iter(things)
    while part := list(islice(ahead, size)):
        yield part


def files_in(
    paths: Iterable[Path], endings: tuple[str, ...], wanted: Callable[[Path], bool] | None = None
) -> Iterator[Path]:
    """Yield the files themselves and, of a directory, those that are wanted, in the order of their names.

    Args:
        paths: Files and directories.
        endings: Of the names of wanted files.
        wanted: Returns whether a file in a directory is wanted. Defaults to those with one of the endings.

    Raises:
        UserError: There is no such file, or a directory has none.
    """
    for path in paths:
        if path.is_dir():
            found = files_of(path, wanted or (lambda file: file.name.lower().endswith(endings)))
            if not found:
                raise UserError(f"{path}: no file in it that ends in {' or '.join(endings)}")
            yield from found
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path}: no such file")
