"""Histograms of weights, gradients and activations in TensorBoard."""

from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from trainer.callbacks.plots.media import get_writers
from trainer.core.callback import Callback
from trainer.task.parameter_groups import get_network

MAX_HISTOGRAM_VALUES = 20_000  # of a tensor, evenly spread over it


class Histograms(Callback):
    """Log `weights/NAME`, `gradients/NAME` and `activations/NAME`, by the names of the modules of the network.

    Gradients are those of the last step of an epoch. Activations are the outputs of all modules without children for
    the first validation batch. Tensors with a NaN or an infinite value are omitted.

    Args:
        every_n_epochs: Number of epochs between two logs; the last of `max_epochs` is always logged.
        weights: Whether weights are logged.
        gradients: Whether gradients are logged.
        activations: Whether activations are logged; not available for networks compiled by `compile`.
    """

    affects_training = False

    def __init__(
        self, *, every_n_epochs: int = 1, weights: bool = True, gradients: bool = True, activations: bool = True
    ) -> None:
        self.every_n_epochs = every_n_epochs
        self.weights = weights
        self.gradients = gradients
        self.activations = activations
        self._handles: list[RemovableHandle] = []
        self._activations: list[tuple[str, Tensor]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self.gradients and trainer.is_last_batch and self._is_due(trainer):
            ids = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
            parameters = get_network(pl_module).named_parameters()
            gradients = [(name, weight.grad) for name, weight in parameters if id(weight) in ids]
            self._log_histograms("gradients", gradients, trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.weights and self._is_due(trainer):
            self._log_histograms("weights", get_network(pl_module).named_parameters(), trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if not self.activations or batch_idx or trainer.sanity_checking or not self._is_due(trainer):
            return
        for name, module in get_network(pl_module).named_modules():
            if not [*module.children()]:
                self._handles.append(module.register_forward_hook(self._make_hook(name)))

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        self._remove_hooks()
        activations, self._activations = self._activations, []
        self._log_histograms("activations", activations, trainer)

    def on_exception(self, *_: Any) -> None:
        self._remove_hooks()

    def _make_hook(self, name: str) -> Any:
        def collect_outputs(module: nn.Module, args: Any, outputs: Any) -> None:
            values = outputs[0] if isinstance(outputs, tuple) and outputs else outputs
            if isinstance(values, Tensor) and values.layout is torch.strided and not values.is_nested:
                self._activations.append((name or "net", sample_values(values)))

        return collect_outputs

    def _is_due(self, trainer: Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        return epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs

    def _log_histograms(self, kind: str, tensors: Iterable[tuple[str, Tensor | None]], trainer: Trainer) -> None:
        for writer in get_writers(trainer):
            for name, tensor in tensors:
                if tensor is None:
                    continue
                values = sample_values(tensor).float().cpu()
                if len(values) and torch.isfinite(values).all():
                    writer.add_histogram(f"{kind}/{name}", values, trainer.global_step)

    def _remove_hooks(self) -> None:
        while self._handles:
            self._handles.pop().remove()


def sample_values(tensor: Tensor) -> Tensor:
    """Return a copy of at most about `MAX_HISTOGRAM_VALUES` values of a tensor (values,)."""
    values = tensor.detach().flatten()
    return values[:: max(1, len(values) // MAX_HISTOGRAM_VALUES)].clone()
