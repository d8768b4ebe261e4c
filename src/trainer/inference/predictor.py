"""Predictions on files and tensors with a trained network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from trainer.artifacts.network_summary import count_parameters
from trainer.core.errors import UserError, did_you_mean, display_path
from trainer.core.escaping import escape_control
from trainer.data.preprocessing.base import OPTION, Examples, Preprocessing, split_examples
from trainer.inference.load_checkpoint import LoadedCheckpoint
from trainer.inference.prediction_records import Record
from trainer.inference.predictions import Prediction, Predictions, build_record
from trainer.task.objective import ClassificationObjective, Objective

DEFAULT_BATCH_SIZE = 256
MAX_SHOWN_CLASSES = 10


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

    def predict(self, inputs: Any, *, batch_size: int = DEFAULT_BATCH_SIZE, **options: Any) -> Predictions:
        """Return the predictions for files, or for examples in memory.

            model.predict("images/")                    # files and directories; for texts also sentences
            model.predict(pixels)                       # an array (height, width) of bytes, or several images
            model.predict(frame)                        # rows of a data frame, or of dictionaries
            model.predict(pixels).to_frame()            # a data frame of pandas

        Args:
            inputs: One or several of these, as for the training data:

                - paths of files and directories; for texts also sentences (strings);
                - images of Pillow, or arrays (height, width) or (height, width, channels) of bytes;
                - data frames, dictionaries with the column names as keys, or arrays (rows, columns) of numbers;
                - arrays (examples, ...) as in the training file of `data=arrays`;
                - a tensor of network inputs (examples, *spec.shape).
            batch_size: Examples per forward pass. Defaults to 256.
            **options: Options of the preprocessing, e.g. `fit` and `invert` of images; not for a tensor.

        Raises:
            UserError: An input is invalid, an option is unknown, or the network is a generative one.
        """
        if not isinstance(inputs, Tensor):
            return Predictions(self.stream(inputs, batch_size=batch_size, **options), self.build_record)
        if options:
            raise UserError(f"{', '.join(options)}: invalid option for a tensor; expected files or no option")
        predictions = [
            prediction
            for examples in split_examples(inputs, batch_size)
            for prediction in self._predict_batch(examples.inputs, examples)
        ]
        return Predictions(predictions, self.build_record)

    def stream(self, inputs: Any, *, batch_size: int = DEFAULT_BATCH_SIZE, **options: Any) -> Iterator[Prediction]:
        """Yield the predictions one by one; files may be larger than the memory.

        Args:
            inputs: See `predict`; no tensor.
            batch_size: Examples in memory. Defaults to 256.
            **options: See `predict`.
        """
        for batch, examples in self.read(inputs, batch_size=batch_size, **options):
            yield from self._predict_batch(batch, examples)

    def read(self, inputs: Any, *, batch_size: int, **options: Any) -> Iterator[tuple[Tensor, Examples]]:
        """Yield batches of network inputs (examples, *spec.shape), with the examples that they are made from.

        Args:
            inputs: See `predict`; no tensor.
            batch_size: Examples in memory.
            **options: See `predict`.
        """
        preprocessing = self._configure_preprocessing(options)
        inputs = _list_texts(inputs)
        is_in_memory = not isinstance(inputs, Iterable) or _is_in_memory(inputs)
        if is_in_memory:
            batches = preprocessing.read_values(inputs, batch_size)
        else:
            batches = preprocessing.read_inputs(map(_validate_path, inputs), batch_size)
        for examples in batches:
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

    def build_record(self, prediction: Prediction) -> Record:
        """Return source, row, known facts and prediction of one example, as `trainer predict` writes them."""
        names = self.preprocessing.value_names if self.preprocessing else ()
        return build_record(prediction, names, has_probabilities=self.has_probabilities)

    def __repr__(self) -> str:
        """Return the checkpoint, the network, and the data and classes that it was trained on."""
        network = f"{type(self.net).__name__} with {count_parameters(self.net):,} parameters"
        names = ", ".join(self.spec.class_names[:MAX_SHOWN_CLASSES])
        omission = ", ..." * (len(self.spec.class_names) > MAX_SHOWN_CLASSES)
        classes = f"; classes: {escape_control(names)}{omission}" if names else ""
        return f"<Predictor '{display_path(self.file)}': {network}; data {self.spec}{classes}>"

    @property
    def has_probabilities(self) -> bool:
        """Return whether `probabilities` are calibrated as such; a hinge loss gives scores in [0, 1] that only rank."""
        return not isinstance(self.objective, ClassificationObjective) or self.objective.distance is None


def _list_texts(inputs: Any) -> Any:
    """Return paths and texts as a list; other inputs unchanged."""
    if isinstance(inputs, str | Path):
        return [inputs]
    is_text = getattr(getattr(inputs, "dtype", None), "kind", "") in ("O", "U")  # of NumPy, or a column of pandas
    return inputs.tolist() if is_text else inputs


def _is_in_memory(inputs: Iterable[Any]) -> bool:
    """Return whether inputs are examples instead of paths and texts, of which there may be a generator."""
    if isinstance(inputs, Sequence) and not hasattr(inputs, "columns"):
        return bool(inputs) and not isinstance(inputs[0], str | Path)
    return isinstance(inputs, Mapping) or hasattr(inputs, "columns") or hasattr(inputs, "__array__")


def _validate_path(value: Any) -> str | Path:
    if isinstance(value, str | Path):
        return value
    raise UserError(f"predict: cannot use a value of type {type(value).__name__} among paths; expected paths or a list")
