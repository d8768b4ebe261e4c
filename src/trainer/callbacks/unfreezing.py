"""Staged unfreezing: parts of a trained network begin to learn one after another, the last ones first."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn
from torch.optim import Optimizer

from trainer.core.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

KEY = "callbacks.unfreezing"


class StagedUnfreezing(Callback):
    """Hold parts of the network still for some epochs, then let them learn.

    What is frozen follows from the number of the epoch alone, so a run that goes on from a checkpoint is as one that
    was never interrupted. Frozen parts are in evaluation mode: the statistics of their batch norms do not move.
    Parts that no stage names are left as the network has them.

    Args:
        stages: After how many epochs which parts begin to learn, by their dotted names in the network, e.g.
            `{3: [layer4], 6: [layer3, layer2]}`. Those of stage 0 learn from the start: with `lr_factor`.
        lr_factor: The named parts learn with this share of the optimizer's rate; greater than 0.

    Raises:
        UserError: A stage or the factor is out of range. When training begins: a name is unknown, or lies in another.

    Source:
        Howard and Ruder 2018, Universal language model fine-tuning for text classification (gradual unfreezing).
    """

    affects_training = True

    def __init__(self, *, stages: Mapping[int, Sequence[str]], lr_factor: float = 1.0) -> None:
        if not stages or min(stages) < 0:
            raise UserError(f"{KEY}.stages: {dict(stages)} does not say after how many epochs, from 0, what may learn")
        if lr_factor <= 0:
            raise UserError(f"{KEY}.lr_factor: {lr_factor} is not greater than 0")
        self.stages = {epochs: [*stages[epochs]] for epochs in sorted(stages)}
        self.lr_factor = lr_factor
        self._learning: set[str] = set()  # names; only so that each is told of once

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        if trainer.world_size > 1:  # they agree on what has gradients once, before the first step
            raise UserError(f"{KEY}: works in one process alone; set trainer.devices=1")
        self.check(_net(pl_module))
        if self.lr_factor != 1:
            make: Callable[..., Optimizer] = pl_module.make_optimizer  # type: ignore[assignment]
            pl_module.make_optimizer = self._slowed(make, _net(pl_module))  # type: ignore[assignment]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._learning = set()
        self._freeze(trainer, pl_module)  # a run that goes on inside an epoch does not start that epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._freeze(trainer, pl_module)

    def _freeze(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze and unfreeze as the number of epochs that are done says."""
        for epochs, names in self.stages.items():
            learns = trainer.current_epoch >= epochs
            for name in names:
                part = _net(pl_module).get_submodule(name)
                part.requires_grad_(learns).train(learns)
            if learns and not self._learning.issuperset(names):
                self._learning.update(names)
                log.info("epoch %d: %s begin to learn", trainer.current_epoch + 1, ", ".join(names))
        if not any(weight.requires_grad for weight in pl_module.parameters()):
            raise UserError(f"{KEY}.stages: in epoch {trainer.current_epoch + 1} nothing learns; begin with stage 0")

    def _slowed(self, make: Callable[..., Optimizer], net: nn.Module) -> Callable[..., Optimizer]:
        """The task's way to make its optimizer, with the named parts in a group of a lower rate."""
        slow = {id(weight) for name in self._names() for weight in net.get_submodule(name).parameters()}

        def make_slowed(parameters: Iterable[nn.Parameter]) -> Optimizer:
            weights = [*parameters]
            groups: list[dict[str, Any]] = [
                {"params": [weight for weight in weights if (id(weight) in slow) == slowed]} for slowed in (False, True)
            ]
            optimizer = make([group for group in groups if group["params"]])
            optimizer.param_groups[-1]["lr"] *= self.lr_factor  # before a schedule takes it for its own
            return optimizer

        return make_slowed

    def _names(self) -> list[str]:
        return [name for names in self.stages.values() for name in names]

    def check(self, net: nn.Module) -> None:
        """Refuse a network without the named parts.

        Raises:
            UserError: A name is unknown, or lies in another.
        """
        parts = [name for name, _ in net.named_modules() if name]
        names = self._names()
        for place, name in enumerate(names):
            if name not in parts:
                near = did_you_mean(name, parts) or did_you_mean(name, [part for part, _ in net.named_children()])
                raise UserError(f"{KEY}.stages: the network has no part '{name}'{near}")
            for other in names[:place] + names[place + 1 :]:
                if f"{name}.".startswith(f"{other}."):
                    raise UserError(f"{KEY}.stages: '{name}' is named twice, or lies in '{other}'; name it once")


def _net(pl_module: LightningModule) -> nn.Module:
    """The network of a task; the task itself where it has none of that name."""
    net = getattr(pl_module, "net", pl_module)
    assert isinstance(net, nn.Module)
    return net
