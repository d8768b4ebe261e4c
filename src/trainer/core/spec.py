"""Shape and type of a data set, from which a network is built."""

import os
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeGuard

from annotated_types import Ge, Gt, Lt, Predicate
from torch import Tensor

from trainer.core.errors import MismatchError

Kind = Literal["vector", "image", "sequence", "tokens"]
Target = Literal["classification", "regression"]
PADDING_INDEX = 0  # token that pads texts; used only after the last token of a text
# argument types with a range that preflight checks
PositiveInt = Annotated[int, Ge(1)]
Fraction = Annotated[float, Gt(0), Lt(1)]
ExistingPath = Annotated[str, Predicate(os.path.exists)]
# inputs (batch, *shape); targets (batch,) classes or (batch, output_size) values; probabilities after mixup or cutmix
Batch = tuple[Tensor, Tensor]

AXES: dict[Kind, str] = {
    "vector": "vectors (features,)",
    "image": "images (channels, height, width)",
    "sequence": "sequences (time, features)",
    "tokens": "tokens (time,)",
}


@dataclass(frozen=True)
class DataSpec:
    """Shape and type of a data set, known from its constructor arguments without opening a file.

    Args:
        name: Name of the data set in messages, e.g. `"mnist"`.
        kind: Type of an input; `AXES` lists the axes of each kind.
        shape: Shape of an input, without the batch.
        target: `"classification"` (targets are class indices) or `"regression"` (targets are real numbers).
        output_size: Network outputs per example: number of target values, or of classes; 1 for two classes (a logit).
        class_names: Names of the classes. Defaults to their numbers; empty for regression.
        vocabulary_size: Number of distinct tokens, including `PADDING_INDEX` and the unknown token; 0 unless `kind`
            is `"tokens"`. Batches of tokens are as long as the longest text in them, at most `shape[0]`.
        synthetic: True if synthetic data replace the real data set; every output mentions it.
        categories: First input and number of inputs of each one-hot vector among the features.
        value_range: Minimum and maximum of the inputs if they are known, as for pixels.
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
    categories: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for name in ("shape", "class_names"):  # lists in configs
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.target == "classification" and not self.class_names:
            object.__setattr__(self, "class_names", tuple(map(str, range(max(self.output_size, 2)))))

    @property
    def title(self) -> str:
        """Return the name, with a clear mark if the data are synthetic."""
        return f"{self.name} (SYNTHETIC: not the real data)" if self.synthetic else self.name

    def __str__(self) -> str:
        """Return e.g. `digits: image 1 x 8 x 8 -> classification (10 classes)`."""
        shape = " x ".join(map(str, self.shape))
        count, unit = (len(self.class_names), "class") if self.class_names else (self.output_size, "value")
        plural = "" if count == 1 else "es" if unit == "class" else "s"
        return f"{self.title}: {self.kind} {shape} -> {self.target} ({count} {unit}{plural})"

    def require(self, model: str, *kinds: Kind) -> None:
        """Raise an error if a network cannot use the data; every network calls this first.

        Raises:
            MismatchError: `kind` is not one of `kinds`; the message names both sides.
        """
        if self.kind not in kinds:
            expected = " or ".join(AXES[kind] for kind in kinds)
            raise MismatchError(
                f"model '{model}' needs {expected}; data '{self.name}' has {AXES[self.kind].split()[0]} {self.shape}"
            )


def find_spec(data: Any) -> DataSpec | None:
    """Return the spec of a data module, or None if it has none."""
    spec = getattr(data, "spec", None)
    return spec if isinstance(spec, DataSpec) else None


def is_pair(batch: Any) -> TypeGuard[Batch]:
    """Return True if a batch contains inputs and targets, and nothing else."""
    return isinstance(batch, tuple | list) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
