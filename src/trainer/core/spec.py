"""DataSpec: what a data set promises, and all that a network has to know of it."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt, Predicate
from torch import Tensor

from trainer.core.errors import MismatchError

Kind = Literal["vector", "image", "sequence", "tokens"]
Target = Literal["classes", "values"]
PADDING = 0  # the token that only fills up: it stands behind the last token of a text, and nowhere else
# types of arguments with the range that preflight holds them to
Count = Annotated[int, Ge(1)]
Share = Annotated[float, Gt(0), Lt(1)]
ExistingPath = Annotated[str, Predicate(os.path.exists)]
Batch = tuple[Tensor, Tensor]  # inputs (batch, *shape); targets (batch,) classes or (batch, output_size) values

AXES: dict[Kind, str] = {
    "vector": "vectors (features,)",
    "image": "images (channels, height, width)",
    "sequence": "sequences (time, features)",
    "tokens": "tokens (time,)",
}


@dataclass(frozen=True)
class DataSpec:
    """The shape of a data set, told from constructor arguments alone: no file is opened for it.

    Args:
        name: What the data set is called in messages, e.g. `"mnist"`.
        kind: What one input is; `AXES` names the axes of each kind.
        shape: Shape of one input, without the batch.
        target: `"classes"` (integers) or `"values"` (real numbers).
        output_size: Numbers a network gives per example: the values; the classes; 1 for two classes (a logit).
        class_names: One name a class; empty for values.
        vocabulary_size: Number of distinct tokens, `PADDING` and the unknown one included; 0 unless `kind` is
            `"tokens"`. Batches of tokens are as long as the longest text in them, at most `shape[0]`.
        synthetic: Whether the data are made up, standing in for the real ones; every output says so.
        value_range: Least and greatest number that an input may hold, where that is known, as for pixels.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    target: Target
    output_size: int
    class_names: tuple[str, ...] = ()
    vocabulary_size: int = 0
    synthetic: bool = False
    value_range: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """The name, with a mark that cannot be missed on data that are made up."""
        return f"{self.name} (SYNTHETIC: made up, not the real data)" if self.synthetic else self.name

    def require(self, model: str, *kinds: Kind) -> None:
        """Refuse data that a network cannot take; each network begins with this line.

        Raises:
            MismatchError: `kind` is not one of `kinds`; the message names both sides.
        """
        if self.kind not in kinds:
            wanted = " or ".join(AXES[kind] for kind in kinds)
            raise MismatchError(
                f"model '{model}' needs {wanted}; data '{self.name}' has {AXES[self.kind].split()[0]} {self.shape}"
            )
