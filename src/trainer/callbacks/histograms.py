"""Histograms: how weights, gradients and activations are spread, epoch by epoch, in TensorBoard."""

from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from trainer.callbacks.plots.tensorboard import boards

MOST = 20_000  # numbers of a tensor that are looked at, evenly spread over it


class Histograms(Callback):
    """Show `weights/NAME`, `gradients/NAME` and `activations/NAME`, by the names of the network's parts.

    Gradients are those of an epoch's last step; activations what each innermost part makes of the first batch of a
    validation. A tensor that holds a NaN or an infinite number is left out.

    Args:
        every_epochs: Shown in each epoch that this number divides, and in the last of `max_epochs`.
        weights: Whether those are shown.
        gradients: Whether those are shown.
        activations: Whether those are shown; of a network that `compile` has compiled there are none.
    """

    affects_training = False

    def __init__(
        self, *, every_epochs: int = 1, weights: bool = True, gradients: bool = True, activations: bool = True
    ) -> None:
        self.every_epochs = every_epochs
        self.weights, self.gradients, self.activations = weights, gradients, activations
        self._handles: list[RemovableHandle] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self.gradients and trainer.is_last_batch and self._is_due(trainer):
            own = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
            found = [(name, weight) for name, weight in _net(pl_module).named_parameters() if id(weight) in own]
            self._show("gradients", ((name, weight.grad) for name, weight in found if weight.grad is not None), trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.weights and self._is_due(trainer):
            self._show("weights", _net(pl_module).named_parameters(), trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        if not self.activations or batch_idx or trainer.sanity_checking or not self._is_due(trainer):
            return
        for name, part in _net(pl_module).named_modules():
            if not [*part.children()]:
                self._handles.append(part.register_forward_hook(self._listener(name, trainer)))

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        self._stop()

    def on_exception(self, *_: Any) -> None:
        self._stop()

    def _listener(self, name: str, trainer: Trainer) -> Any:
        def listen(part: nn.Module, given: Any, made: Any) -> None:
            values = made[0] if isinstance(made, tuple) else made
            if isinstance(values, Tensor):
                self._show("activations", [(name or "net", values)], trainer)

        return listen

    def _is_due(self, trainer: Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        return epoch % self.every_epochs == 0 or epoch == trainer.max_epochs

    def _show(self, kind: str, tensors: Iterable[tuple[str, Tensor]], trainer: Trainer) -> None:
        for board in boards(trainer):
            for name, tensor in tensors:
                values = tensor.detach().float().flatten()
                values = values[:: max(1, len(values) // MOST)].cpu()
                if len(values) and torch.isfinite(values).all():
                    board.add_histogram(f"{kind}/{name}", values, trainer.global_step)

    def _stop(self) -> None:
        while self._handles:
            self._handles.pop().remove()


def _net(pl_module: LightningModule) -> nn.Module:
    """The network of a task; the task itself where it has none of that name."""
    net = getattr(pl_module, "net", pl_module)
    assert isinstance(net, nn.Module)
    return net
