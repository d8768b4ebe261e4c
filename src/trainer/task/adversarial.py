"""Adversarial: a generator learns to make what a discriminator takes for real, and that learns to tell them apart."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, LightningModule
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.core.errors import UserError, blamed_on
from trainer.core.spec import Batch
from trainer.task.gradient_accumulation import batches_in_step, multiply_gradients
from trainer.task.losses import NONE
from trainer.task.objective import ClassObjective, Objective, objective_for
from trainer.task.schedulers import MakeSchedule, lightning_schedule

MakeOptimizer = Callable[..., Optimizer]
NETWORKS = ("generator", "discriminator")
TRAINING, EVALUATION = 0, 1  # what noise is for


@runtime_checkable
class Pair(Protocol):
    """The two networks: `trainer.model.gan`, or a net of your own."""

    latent: int  # numbers of noise that an input is made from
    generator: nn.Module
    discriminator: nn.Module

    def make(self, noise: Tensor, targets: Tensor) -> Tensor:
        """Inputs (batch, *spec.shape) by the generator, of noise (batch, latent), and if it likes of targets."""
        ...

    def judge(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Logits (batch, 1) by the discriminator: above 0 where inputs are real, and go with the targets."""
        ...

    def follow(self) -> None:
        """Called after each step of the generator."""
        ...


class Adversarial(LightningModule):
    """Train two networks against each other: for each batch a step of the discriminator, then one of the generator.

    Both learn from the same made inputs: the generator makes them once a batch.

    Logs `train/`, `val/` and `test/` with both losses, and with `real` and `fake`: how real the discriminator holds
    inputs of the data and of the generator, a probability each. What is counted as a *step* is one of the generator.

    Args:
        net: The two networks.
        objective: Of no use here, as both losses are given; settings of it that would be lost are refused.
        optimizer: Called with the parameters of each network.
        scheduler: Called with each optimizer, and with `total_steps` where it takes that.
        discriminator_optimizer: Called with the discriminator's parameters instead of `optimizer`.
        label_smoothing: The discriminator is to hold real inputs for real with 1 - this; fake ones always with 0.

    Raises:
        UserError: The net is no pair, or a setting has no meaning here.

    Source:
        Goodfellow et al. 2014, Generative adversarial nets: algorithm 1, and the generator's loss of the end of
        section 3; Salimans et al. 2016, Improved techniques for training GANs: one-sided label smoothing.
    """

    def __init__(
        self,
        net: Pair,
        objective: Objective,
        optimizer: MakeOptimizer,
        scheduler: MakeSchedule,
        *,
        discriminator_optimizer: MakeOptimizer | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(net, Pair):
            raise UserError(f"model.task: {type(net).__name__} has no generator and discriminator; model=gan has")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"model.task.label_smoothing: {label_smoothing} is not in [0, 1)")
        _refuse_settings(objective)
        self.automatic_optimization = False
        self.net, self.make_schedule, self.real_label = net, scheduler, 1 - label_smoothing
        self.make_optimizers = {"generator": optimizer, "discriminator": discriminator_optimizer or optimizer}
        self.seed = torch.initial_seed()  # the run's
        self._batches_a_step = 1
        self._share = 1.0  # of a batch in its step
        self._owed: list[tuple[Tensor, Tensor]] = []  # fakes that the generator has not yet learned from, and targets

    @property
    def logged(self) -> list[str]:
        """Names of all metrics that this task logs; callbacks may wait for any of them."""
        names = ("discriminator_loss", "generator_loss", "real", "fake")
        return [f"{stage}/{name}" for stage in ("train", "val", "test") for name in names]

    def name_of(self, optimizer: Optimizer) -> str:
        """Which network an optimizer is for; callbacks tell them apart by it."""
        return NETWORKS[self.trainer.optimizers.index(optimizer)]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net.discriminator(inputs)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, targets = batch
        share = 1 / batches_in_step(self.trainer, batch_idx)
        if self._owed and share != self._share:  # the length of the epoch was not known until its last batch
            multiply_gradients(self.trainer.optimizers[1:], share / self._share)
        self._share = share
        fakes = self.net.make(self._noise(inputs, len(inputs), TRAINING, self.current_epoch, batch_idx), targets)
        self._owed.append((fakes, targets))
        on_real, on_fake = self.net.judge(inputs, targets), self.net.judge(fakes.detach(), targets)  # (batch, 1) each
        loss = discriminator_loss(on_real, on_fake, self.real_label)
        self.manual_backward(share * loss)
        self._log("train", {"discriminator_loss": loss.detach()} | _belief(on_real, on_fake))
        if (batch_idx + 1) % self.trainer.accumulate_grad_batches and not self.trainer.is_last_batch:
            return

        optimizers: Any = self.optimizers()
        generator_optimizer, discriminator_optimizer = optimizers
        # what `discriminator_optimizer.step()` does, save that Lightning does not count it as a step of the training
        self.trainer.strategy.optimizer_step(discriminator_optimizer.optimizer, lambda: None)
        discriminator_optimizer.zero_grad()
        self.toggle_optimizer(generator_optimizer)  # the discriminator only hands gradients on
        for owed in self._owed:  # the same fakes: to make others would cost a sixth more
            loss = generator_loss(self.net.judge(*owed))
            self.manual_backward(share * loss)
        self.untoggle_optimizer(generator_optimizer)
        generator_optimizer.step()
        generator_optimizer.zero_grad()
        self._owed.clear()
        self.net.follow()
        self._log("train", {"generator_loss": loss.detach()})
        self._step_schedules()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._judge("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._judge("test", batch, batch_idx)

    def configure_callbacks(self) -> Sequence[Callback]:
        # after this Lightning refuses tasks that step their optimizers themselves and are to accumulate; this one does
        self._batches_a_step, self.trainer.accumulate_grad_batches = self.trainer.accumulate_grad_batches, 1
        return []

    def setup(self, stage: str) -> None:
        self.trainer.accumulate_grad_batches = self._batches_a_step

    def configure_optimizers(self) -> Any:
        options = getattr(self.trainer.strategy, "_ddp_kwargs", None)  # of DDP alone
        if options is not None and not options.get("find_unused_parameters"):
            raise UserError(
                "trainer.strategy: several processes would wait for gradients of the network whose turn it is "
                "not; use trainer.strategy=ddp_find_unused_parameters_true"
            )
        made = []
        for name, make in self.make_optimizers.items():
            own = name == "discriminator" and make is not self.make_optimizers["generator"]
            with blamed_on("model.task.discriminator_optimizer" if own else "optimizer"):
                optimizer = make(getattr(self.net, name).parameters())
            with blamed_on("scheduler"):
                schedule = lightning_schedule(self.make_schedule, optimizer, self.trainer)
            if isinstance(schedule["scheduler"], ReduceLROnPlateau):
                raise UserError("scheduler: no loss of an adversarial training falls to a plateau; use another one")
            made.append({"optimizer": optimizer, "lr_scheduler": {**schedule, "name": f"lr_{name}"}})
        return made

    def _noise(self, like: Tensor, rows: int, *place: int) -> Tensor:
        """Noise (rows, latent) that depends on the seed and the place alone: a run that is resumed has the same."""
        seed = self.seed if place[0] == TRAINING else 0  # all runs are judged on the same noise
        place = (seed, self.global_rank, *place, *[0] * (4 - len(place)))
        state = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1)
        return torch.randn(rows, self.net.latent, generator=Generator().manual_seed(state)).to(like)

    def _step_schedules(self) -> None:
        """What Lightning does for tasks that leave the optimizers to it."""
        done = {"step": self.global_step, "epoch": self.current_epoch + 1}
        for schedule in self.trainer.lr_scheduler_configs:
            due = schedule.interval == "step" or self.trainer.is_last_batch
            if due and done[schedule.interval] % schedule.frequency == 0:
                schedule.scheduler.step()  # type: ignore[call-arg]  # plateaus are refused

    def _judge(self, stage: str, batch: Batch, batch_idx: int) -> None:
        inputs, targets = batch
        fakes = self.net.make(self._noise(inputs, len(inputs), EVALUATION, batch_idx), targets)
        on_real, on_fake = self.net.judge(inputs, targets), self.net.judge(fakes, targets)
        losses = {
            "discriminator_loss": discriminator_loss(on_real, on_fake, self.real_label),
            "generator_loss": generator_loss(on_fake),
        }
        self._log(stage, losses | _belief(on_real, on_fake), batch_size=len(inputs), sync_dist=True)

    def _log(self, stage: str, values: dict[str, Tensor], **how: Any) -> None:
        for name, value in values.items():
            self.log(f"{stage}/{name}", value, prog_bar=name.endswith("_loss") and stage == "train", **how)


def discriminator_loss(on_real: Tensor, on_fake: Tensor, real_label: float = 1.0) -> Tensor:
    """Binary cross-entropy of telling real inputs from fake ones: the sum of both means.

    Shapes:
        on_real, on_fake: (batch, 1), logits
        returns: ()
    """
    real = F.binary_cross_entropy_with_logits(on_real, torch.full_like(on_real, real_label))
    return real + F.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))


def generator_loss(on_fake: Tensor) -> Tensor:
    """Binary cross-entropy of being taken for real: -log D(G(z)), which does not saturate as log(1 - D(G(z))) does.

    Shapes:
        on_fake: (batch, 1), logits
        returns: ()
    """
    return F.binary_cross_entropy_with_logits(on_fake, torch.ones_like(on_fake))


def _belief(on_real: Tensor, on_fake: Tensor) -> dict[str, Tensor]:
    return {"real": on_real.detach().float().sigmoid().mean(), "fake": on_fake.detach().float().sigmoid().mean()}


def _refuse_settings(objective: Objective) -> None:
    """Refuse what the user has set of the objective and what would have no effect."""
    if isinstance(objective, ClassObjective) and objective.label_smoothing:
        raise UserError("objective.label_smoothing: not of an adversarial training; set model.task.label_smoothing")
    usual: Any = objective_for(objective.spec)
    if {*objective.metrics()} != {*usual.metrics()}:
        raise UserError("objective.metrics: an adversarial training has metrics of its own; leave it as it is")
    if objective.penalty != NONE or getattr(objective, "distance", None) is not usual.distance:
        raise UserError("objective: an adversarial training has losses of its own; leave loss and penalty as they are")
