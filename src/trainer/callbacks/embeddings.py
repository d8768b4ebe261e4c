"""Feature vectors of examples and embedding vectors of words for TensorBoard's projector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trainer.callbacks.plots.formatting import format_input, format_target, get_vocabulary
from trainer.callbacks.plots.media import get_writers
from trainer.callbacks.plots.projector import Points, write_projector
from trainer.core.callback import Callback
from trainer.core.spec import PADDING_INDEX, Batch, DataSpec
from trainer.task.objective import Objective
from trainer.task.objective_lookup import find_objective

MAX_LABEL_CHARS = 60


class Embeddings(Callback):
    """Write the inputs of the last linear layer for test examples, and the vectors of words, for the projector.

    Supports images, shown as thumbnails, and texts, if the last layer of the network is linear. The files are written
    next to TensorBoard's events once, after the test.

    Args:
        examples: Largest number of examples; the first ones of the test are used.
        words: Largest number of words; the most frequent ones are used.
    """

    affects_training = False

    def __init__(self, *, examples: int = 300, words: int = 1000) -> None:
        self.examples = examples
        self.words = words
        self._features: list[Tensor] = []
        self._collected: list[tuple[Tensor, Tensor, Tensor]] = []  # inputs, predictions, targets
        self._hook_handle: RemovableHandle | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._features = []
        self._collected = []
        objective = getattr(pl_module, "objective", None)
        net = getattr(pl_module, "net", None)
        if not isinstance(objective, Objective) or objective.spec.kind not in ("image", "tokens"):
            return
        last = find_output_layer(net, objective.spec) if isinstance(net, nn.Module) and get_writers(trainer) else None
        if last:
            self._hook_handle = last.register_forward_pre_hook(
                lambda _, args: self._features.append(args[0].detach().float().cpu())
            )

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        objective = find_objective(pl_module, outputs, batch)
        if not (self._hook_handle and objective):
            return
        inputs, targets = batch
        tensors = (inputs, objective.predictions(outputs), targets)
        self._collected.append(tuple(tensor.detach().cpu() for tensor in tensors))  # type: ignore[arg-type]
        if sum(len(targets) for *_, targets in self._collected) >= self.examples:
            self._remove_hook()

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._remove_hook()
        clouds: list[Points] = []
        objective = getattr(pl_module, "objective", None)
        vocabulary = get_vocabulary(trainer)
        if self._collected and isinstance(objective, Objective) and self._features[0].dim() == 2:
            points = make_example_points(torch.cat(self._features), self._collected, objective.spec, vocabulary)
            clouds.append(points.first(self.examples))
        embedding = getattr(getattr(pl_module, "net", None), "embedding", None)
        if vocabulary and isinstance(embedding, nn.Embedding):
            rows = slice(PADDING_INDEX + 1, min(self.words, len(vocabulary)))
            vectors = embedding.weight.detach().float().cpu()[rows]
            clouds.append(Points("words", vectors, ("word",), [(word,) for word in vocabulary[rows]]))
        self._features = []
        self._collected = []
        for writer in get_writers(trainer) if clouds else ():
            write_projector(clouds, Path(writer.log_dir))

    def on_exception(self, *_: Any) -> None:
        self._remove_hook()

    def _remove_hook(self) -> None:
        if self._hook_handle:
            self._hook_handle.remove()
            self._hook_handle = None


def find_output_layer(net: nn.Module, spec: DataSpec) -> nn.Linear | None:
    """Return the output layer; None if it is not linear, or if the network is compiled and would not call hooks."""
    if getattr(net, "_compiled_call_impl", None):
        return None
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear and linear[-1].out_features == spec.output_size else None


def make_example_points(
    features: Tensor, batches: Sequence[tuple[Tensor, Tensor, Tensor]], spec: DataSpec, vocabulary: Sequence[str] | None
) -> Points:
    """Return features (examples, width) of batches of inputs, predictions and targets, with labels and thumbnails."""
    labels: list[tuple[str, ...]] = []
    for inputs, predictions, targets in batches:
        columns = [[format_target(target, spec) for target in part] for part in (targets, predictions)]
        if spec.kind == "tokens":
            columns.append([format_input(tokens, spec, vocabulary)[:MAX_LABEL_CHARS] for tokens in inputs])
        labels += zip(*columns, strict=True)
    images = torch.cat([inputs for inputs, *_ in batches]) if spec.kind == "image" else None
    header = ("target", "prediction", "text")[: 2 + (spec.kind == "tokens")]
    return Points("examples", features, header, labels, images)
