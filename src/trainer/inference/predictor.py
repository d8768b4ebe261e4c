"""Predictor: what a trained network says of a user's files, from a checkpoint alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.data.preprocessing.base import OPTION, Examples, Preprocessing
from trainer.inference.load_checkpoint import Restored
from trainer.task.objective import ClassObjective, Objective

AT_ONCE = 256  # examples in memory

Files = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class Prediction:
    """What a network says of one example.

    Args:
        source: The file it is from; "" for a tensor.
        row: Its line there, from 1, or its place in a tensor; None where a file is one example.
        label: The class by its name; None for values.
        probabilities: Of each class by its name; empty for values.
        values: In the units of the training file; empty for classes.
        facts: What was known beside it, e.g. the last price and its day.
    """

    source: str
    row: int | None
    label: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """Of the class that is said."""
        return self.probabilities[self.label or ""]

    @property
    def value(self) -> float:
        """The first of the values."""
        return self.values[0]


class Predictor:
    """A trained network with all that it needs to read files: its preprocessing, its classes, its objective.

    Args:
        restored: From a checkpoint.

    Attributes:
        net: The network, in evaluation mode.
        spec: What its data promised.
        config: Every value that its run used.
        metrics: Those logged when the checkpoint was saved.
        provenance: Where it came from.
    """

    def __init__(self, restored: Restored) -> None:
        self.file, self.net, self.spec = restored.file, restored.net, restored.spec
        self.config, self.metrics, self.provenance = restored.config, restored.metrics, restored.provenance
        self.preprocessing, self.target_scale = restored.preprocessing, restored.target_scale
        self.objective: Objective = instantiate(self.config["objective"], _convert_="all")(self.spec)

    def predict(self, inputs: Tensor | Files, *, at_once: int = AT_ONCE, **options: Any) -> list[Prediction]:
        """Say what is in files, or in a tensor that is ready for the network: (examples, *spec.shape).

        Args:
            inputs: One file or several, or directories of them; or the tensor.
            at_once: Examples in memory.
            **options: How files are read; of images `fit` and `invert`.

        Raises:
            UserError: A file or a line is not what it should be, or the network is not for predictions.
        """
        if not isinstance(inputs, Tensor):
            return [*self.stream(inputs, at_once=at_once, **options)]
        if options:
            raise UserError(f"{', '.join(options)}: no setting for a tensor, which is not read from files")
        parts = torch.split(inputs, at_once)
        places = torch.split(torch.arange(len(inputs)), at_once)
        pairs = zip(parts, places, strict=True)
        return [
            one for part, rows in pairs for one in self._say(part, Examples([""] * len(rows), [*rows.tolist()], part))
        ]

    def stream(self, files: Files, *, at_once: int = AT_ONCE, **options: Any) -> Iterator[Prediction]:
        """What `predict` does, one prediction after the other: the files may be larger than the memory.

        Args:
            files: See `predict`.
            at_once: Examples in memory.
            **options: See `predict`.
        """
        reading = self._reading(options)
        paths = [files] if isinstance(files, str | Path) else files
        for examples in reading.read(map(Path, paths), at_once):
            yield from self._say(reading.prepare(examples.inputs), examples)

    @torch.inference_mode()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Return what the network gives for inputs that are ready for it: (batch, output_size); logits, or values."""
        if hasattr(self.net, "generator"):
            raise UserError(f"'{self.file}' holds a {type(self.net).__name__}, which makes images: trainer sample")
        outputs: Tensor = self.net(inputs)
        return outputs

    def _say(self, inputs: Tensor, examples: Examples) -> Iterator[Prediction]:
        outputs = self.outputs(inputs)
        names = self.spec.class_names
        facts = [dict(zip(examples.facts, row, strict=True)) for row in zip(*examples.facts.values(), strict=True)]
        heads = zip(examples.sources, examples.rows, facts or [{}] * len(outputs), strict=True)
        if self.spec.target == "values":
            said = self.objective.predictions(outputs)
            values = (self.preprocessing.in_units(said, examples) if self.preprocessing else said).tolist()
            for (source, row, fact), value in zip(heads, values, strict=True):
                yield Prediction(source, row, values=tuple(value), facts=fact)
            return
        scores = self.objective.scores(outputs)
        scores = torch.stack([1 - scores, scores], 1) if scores.dim() == 1 else scores  # (batch, classes)
        classes = self.objective.predictions(outputs).tolist()
        for (source, row, fact), number, row_of_scores in zip(heads, classes, scores.tolist(), strict=True):
            probabilities = dict(zip(names, row_of_scores, strict=True))
            yield Prediction(source, row, names[number], probabilities, facts=fact)

    def _reading(self, options: dict[str, Any]) -> Preprocessing:
        if self.preprocessing is None:
            raise UserError(
                f"'{self.file}': data '{self.spec.name}' does not say how files are read; give the data set an "
                "attribute `preprocessing` and train again, or predict tensors (docs/using-a-model.md)"
            )
        known = [each.name for each in fields(self.preprocessing) if each.metadata == OPTION]
        for name in options:
            if name not in known:
                offer = did_you_mean(name, known) if known else ""
                raise UserError(f"{name}: there is no such setting for data '{self.spec.name}'{offer}")
        return replace(self.preprocessing, **options)

    @property
    def is_sure(self) -> bool:
        """Whether `probabilities` are that: a hinge loss gives scores in [0, 1] that only rank."""
        return not isinstance(self.objective, ClassObjective) or self.objective.distance is None
