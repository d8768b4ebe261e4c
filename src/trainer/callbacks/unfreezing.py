"""Gradual unfreezing of the parts of a pretrained network."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.optim import Optimizer

from trainer.core.callback import Callback
from trainer.core.errors import UserError, did_you_mean
from trainer.task.parameter_groups import get_network

log = logging.getLogger(__name__)

CONFIG_KEY = "callbacks.unfreezing"


class Unfreezing(Callback):
    """Freeze parts of the network for some epochs, then train them.

    Only the epoch number determines what is frozen, so a resumed run equals one that was never interrupted. Frozen
    parts are in evaluation mode: their batch norm statistics do not change. Parts that no stage names stay as the
    network has them.

    Args:
        stages: Names of parts by the number of epochs after which they are trained, e.g.
            `{3: [layer4], 6: [layer3, layer2]}`. Those of stage 0 are trained from the start, with `lr_factor`.
        lr_factor: Factor of the learning rate of the named parts; greater than 0.

    Raises:
        UserError: A stage or the factor is out of range. When training starts: a name is unknown, or part of another.

    Source:
        Howard and Ruder 2018, Universal language model fine-tuning for text classification (gradual unfreezing).
    """

    affects_training = True

    def __init__(self, *, stages: Mapping[int, Sequence[str]], lr_factor: float = 1.0) -> None:
        if not stages or min(stages) < 0:
            raise UserError(f"{CONFIG_KEY}.stages: {dict(stages)} is invalid; expected names by a number of epochs")
        if lr_factor <= 0:
            raise UserError(f"{CONFIG_KEY}.lr_factor: {lr_factor} is not greater than 0")
        self.stages = {epochs: [*stages[epochs]] for epochs in sorted(stages)}
        self.lr_factor = lr_factor
        self._unfrozen: set[str] = set()  # names that were logged

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        if trainer.world_size > 1:  # DDP fixes the set of parameters with gradients before the first step
            raise UserError(f"{CONFIG_KEY}: only works in a single process; set trainer.devices=1")
        self.check(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        net = get_network(pl_module)
        if self.lr_factor != 1:
            factory: Callable[..., Optimizer] | None = getattr(pl_module, "make_optimizer", None)
            if factory is None:
                name = type(pl_module).__name__
                raise UserError(f"{CONFIG_KEY}.lr_factor: {name} configures its own optimizer; expected 1.0")
            pl_module.make_optimizer = self._with_reduced_lr(factory, net)  # type: ignore[assignment]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._unfrozen = set()
        self._freeze(trainer, pl_module)  # a run that resumes within an epoch does not start that epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._freeze(trainer, pl_module)

    def _freeze(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        for epochs, names in self.stages.items():
            is_trained = trainer.current_epoch >= epochs
            for name in names:
                part = get_network(pl_module).get_submodule(name)
                part.requires_grad_(is_trained).train(is_trained)
            if is_trained and not self._unfrozen.issuperset(names):
                self._unfrozen.update(names)
                log.info("epoch %d: unfreezing %s", epoch, ", ".join(names))
        if not any(weight.requires_grad for weight in pl_module.parameters()):
            raise UserError(f"{CONFIG_KEY}.stages: no parameter is trainable in epoch {epoch}; add a stage 0")

    def _with_reduced_lr(self, factory: Callable[..., Optimizer], net: nn.Module) -> Callable[..., Optimizer]:
        """Return an optimizer factory that puts the named parts into parameter groups with the reduced rate."""
        reduced_ids = {id(weight) for name in self._part_names() for weight in net.get_submodule(name).parameters()}

        def make_optimizer(parameters: Iterable[nn.Parameter]) -> Optimizer:
            optimizer = factory(parameters)
            for group in [*optimizer.param_groups]:
                reduced = [weight for weight in group["params"] if id(weight) in reduced_ids]
                rate = group["lr"] * self.lr_factor  # before a schedule reads the initial rate
                if len(reduced) == len(group["params"]):
                    group["lr"] = rate
                elif reduced:
                    group["params"] = [weight for weight in group["params"] if id(weight) not in reduced_ids]
                    name = {"name": f"{group['name']}_unfrozen"} if "name" in group else {}
                    optimizer.add_param_group({**group, "params": reduced, "lr": rate, **name})
            return optimizer

        return make_optimizer

    def _part_names(self) -> list[str]:
        return [name for names in self.stages.values() for name in names]

    def check(self, task: LightningModule, data: Any) -> None:
        """Check that the network has the named parts.

        Raises:
            UserError: A name is unknown, a duplicate, or part of another.
        """
        net = get_network(task)
        parts = [name for name, _ in net.named_modules() if name]
        names = self._part_names()
        for index, name in enumerate(names):
            if name not in parts:
                hint = did_you_mean(name, parts) or did_you_mean(name, [part for part, _ in net.named_children()])
                raise UserError(f"{CONFIG_KEY}.stages: the network has no part '{name}'{hint}")
            for other in names[:index] + names[index + 1 :]:
                if f"{name}.".startswith(f"{other}."):
                    raise UserError(f"{CONFIG_KEY}.stages: '{name}' is equal to '{other}' or part of it; list it once")
