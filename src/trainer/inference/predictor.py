"""Predictions on files and tensors with a trained network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from trainer.core.errors import UserError, did_you_mean
from trainer.data.preprocessing.base import OPTION, Examples, Preprocessing
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.task.objective import ClassificationObjective, Objective

DEFAULT_BATCH_SIZE = 256

Files = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class Prediction:
    """Prediction for an example.

    Args:
        source: File of the example, or the sentence itself; "" for a tensor.
        row: Line in the file (from 1) or index in the tensor; None if the file is a single example.
        label: Predicted class; None for regression.
        probabilities: Probability of each class by name; empty for regression.
        values: Predicted values in the units of the training file; empty for classification.
        facts: Known values of the example, e.g. its last price and day.
    """

    source: str
    row: int | None
    label: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    values: tuple[float, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """Return the probability of the predicted class."""
        return self.probabilities[self.label or ""]

    @property
    def value(self) -> float:
        """Return the first value."""
        return self.values[0]


class Predictor:
    """Trained network with the preprocessing, the class names and the objective of its run.

    Args:
        checkpoint: Loaded checkpoint.

    Attributes:
        net: Network in evaluation mode.
        spec: Spec of the training data.
        config: Complete config of the run.
        metrics: Last values logged before the checkpoint was saved.
        provenance: Provenance of the run.
    """

    def __init__(self, checkpoint: LoadedCheckpoint) -> None:
        self.file = checkpoint.file
        self.net = checkpoint.net
        self.spec = checkpoint.spec
        self.config = checkpoint.config
        self.metrics = checkpoint.metrics
        self.provenance = checkpoint.provenance
        self.preprocessing = checkpoint.preprocessing
        self.target_scale = checkpoint.target_scale
        self.objective: Objective = instantiate(self.config["objective"], _convert_="all")(self.spec)
        if isinstance(self.objective, Objective):
            self.objective.restore(checkpoint.objective)

    def predict(
        self, inputs: Tensor | Files, *, batch_size: int = DEFAULT_BATCH_SIZE, **options: Any
    ) -> list[Prediction]:
        """Return the predictions for files, or for a tensor of network inputs (examples, *spec.shape).

        Args:
            inputs: One or more files or directories, or a tensor; for texts also sentences (strings).
            batch_size: Examples per forward pass. Defaults to 256.
            **options: Options of the preprocessing of files, e.g. `fit` and `invert` of images.

        Raises:
            UserError: A file is invalid, an option is unknown, or the network is a generative one.
        """
        if not isinstance(inputs, Tensor):
            return [*self.stream(inputs, batch_size=batch_size, **options)]
        if options:
            raise UserError(f"{', '.join(options)}: invalid option for a tensor; expected files or no option")
        rows = torch.split(torch.arange(len(inputs)), batch_size)
        batches = zip(torch.split(inputs, batch_size), rows, strict=True)
        return [
            prediction
            for batch, indices in batches
            for prediction in self._predict_batch(batch, Examples([""] * len(indices), indices.tolist(), batch))
        ]

    def stream(self, files: Files, *, batch_size: int = DEFAULT_BATCH_SIZE, **options: Any) -> Iterator[Prediction]:
        """Yield the predictions for files one by one; the files may be larger than the memory.

        Args:
            files: See `predict`.
            batch_size: Examples in memory. Defaults to 256.
            **options: See `predict`.
        """
        for inputs, examples in self.read(files, batch_size=batch_size, **options):
            yield from self._predict_batch(inputs, examples)

    def read(self, files: Files, *, batch_size: int, **options: Any) -> Iterator[tuple[Tensor, Examples]]:
        """Yield batches of files as network inputs (examples, *spec.shape), with the examples that they are read from.

        Args:
            files: See `predict`.
            batch_size: Examples in memory.
            **options: See `predict`.
        """
        preprocessing = self._configure_preprocessing(options)
        paths = [files] if isinstance(files, str | Path) else files
        for examples in preprocessing.read_inputs(paths, batch_size):
            yield preprocessing.prepare(examples.inputs), examples

    @torch.inference_mode()
    def outputs(self, inputs: Tensor) -> Tensor:
        """Return the network outputs (batch, output_size), logits or values, for network inputs."""
        if hasattr(self.net, "generator"):
            raise UserError(f"'{self.file}' contains a {type(self.net).__name__}; generate images with: trainer sample")
        outputs: Tensor = self.net(inputs)
        return outputs

    def _predict_batch(self, inputs: Tensor, examples: Examples) -> Iterator[Prediction]:
        outputs = self.outputs(inputs)
        facts = [dict(zip(examples.facts, row, strict=True)) for row in zip(*examples.facts.values(), strict=True)]
        origins = zip(examples.sources, examples.rows, facts or [{}] * len(outputs), strict=True)
        predictions = self.objective.predictions(outputs)
        if self.spec.target == "regression":
            if self.preprocessing:
                predictions = self.preprocessing.to_original_units(predictions, examples)
            for (source, row, fact), values in zip(origins, predictions.tolist(), strict=True):
                yield Prediction(source, row, values=tuple(values), facts=fact)
            return
        scores = self.objective.scores(outputs)
        scores = torch.stack([1 - scores, scores], 1) if scores.dim() == 1 else scores  # (batch, classes)
        names = self.spec.class_names
        for (source, row, fact), index, class_scores in zip(
            origins, predictions.tolist(), scores.tolist(), strict=True
        ):
            probabilities = dict(zip(names, class_scores, strict=True))
            yield Prediction(source, row, names[index], probabilities, facts=fact)

    def _configure_preprocessing(self, options: dict[str, Any]) -> Preprocessing:
        if self.preprocessing is None:
            raise UserError(
                f"'{self.file}': data '{self.spec.name}' has no preprocessing of files\n  add an attribute"
                " `preprocessing` to the data set and train again, or predict tensors (docs/using-a-model.md)"
            )
        names = [option.name for option in fields(self.preprocessing) if option.metadata == OPTION]
        for name in options:
            if name not in names:
                hint = did_you_mean(name, names) if names else ""
                raise UserError(f"{name}: unknown option for data '{self.spec.name}'{hint}")
        return replace(self.preprocessing, **options)

    @property
    def has_probabilities(self) -> bool:
        """Return whether `probabilities` are calibrated as such; a hinge loss gives scores in [0, 1] that only rank."""
        return not isinstance(self.objective, ClassificationObjective) or self.objective.distance is None
