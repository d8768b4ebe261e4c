"""Embeddings: what a network makes of examples and of words, as points in TensorBoard's projector."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trainer.callbacks.plots.formatting import told_input, told_target, vocabulary_of
from trainer.callbacks.plots.projector import Points, project
from trainer.callbacks.plots.tensorboard import boards
from trainer.core.spec import PADDING, Batch, DataSpec
from trainer.task.objective import Objective

LABEL = 60  # characters of a text


class Embeddings(Callback):
    """Show the projector what the last linear layer is given for examples of the test, and the vectors of words.

    For images, as thumbnails, and texts; other data get none, nor networks without a linear layer at their end. Written
    beside TensorBoard's events, once, after the test.

    Args:
        examples: How many at most, the first ones of the test.
        words: How many at most, the most frequent ones.
    """

    affects_training = False

    def __init__(self, *, examples: int = 300, words: int = 1000) -> None:
        self.examples, self.words = examples, words
        self._features: list[Tensor] = []
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []  # inputs, predictions, targets
        self._listening: RemovableHandle | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._features, self._kept = [], []
        objective, net = getattr(pl_module, "objective", None), getattr(pl_module, "net", None)
        if not isinstance(objective, Objective) or objective.spec.kind not in ("image", "tokens"):
            return
        last = last_linear(net, objective.spec) if isinstance(net, nn.Module) and boards(trainer) else None
        if last:
            self._listening = last.register_forward_pre_hook(
                lambda _, given: self._features.append(given[0].detach().float().cpu())
            )

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any, **__: Any
    ) -> None:
        if not self._listening:
            return
        objective = pl_module.objective
        assert isinstance(objective, Objective)
        inputs, targets = batch
        kept = (inputs, objective.predictions(outputs), targets)
        self._kept.append(tuple(tensor.detach().cpu() for tensor in kept))  # type: ignore[arg-type]
        if sum(len(targets) for *_, targets in self._kept) >= self.examples:
            self._stop()

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop()
        found: list[Points] = []
        objective, net, vocabulary = getattr(pl_module, "objective", None), pl_module.net, vocabulary_of(trainer)
        if self._features and isinstance(objective, Objective) and self._features[0].dim() == 2:
            points = examples(torch.cat(self._features), self._kept, objective.spec, vocabulary)
            found.append(points.first(self.examples))
        table = getattr(net, "embedding", None)
        if vocabulary and isinstance(table, nn.Embedding):
            words = [*vocabulary][: self.words]
            vectors = table.weight.detach().float().cpu()[PADDING + 1 : len(words)]
            found.append(Points("words", vectors, ("word",), [(word,) for word in words[PADDING + 1 :]]))
        self._features, self._kept = [], []
        for board in boards(trainer) if found else ():
            project(found, Path(board.log_dir))

    def on_exception(self, *_: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._listening:
            self._listening.remove()
            self._listening = None


def last_linear(net: nn.Module, spec: DataSpec) -> nn.Linear | None:
    """The layer that gives the outputs, if it is linear; None of a network that is compiled, which would not tell."""
    if getattr(net, "_compiled_call_impl", None):
        return None
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear and linear[-1].out_features == spec.output_size else None


def examples(
    features: Tensor, batches: Sequence[tuple[Tensor, Tensor, Tensor]], spec: DataSpec, vocabulary: Sequence[str] | None
) -> Points:
    """Features (examples, width) of batches of inputs, predictions and targets, with names and thumbnails."""
    labels: list[tuple[str, ...]] = []
    for inputs, predictions, targets in batches:
        told = [[told_target(one, spec) for one in part] for part in (targets, predictions)]
        if spec.kind == "tokens":
            told.append([told_input(one, spec, vocabulary)[:LABEL] for one in inputs])
        labels += zip(*told, strict=True)
    images = torch.cat([inputs for inputs, *_ in batches]) if spec.kind == "image" else None
    header = ("truth", "said", "text")[: 2 + (spec.kind == "tokens")]
    return Points("examples", features, header, labels, images)
