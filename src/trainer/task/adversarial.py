"""Adversarial training of a generator and a discriminator."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_lightning import Callback, LightningModule
from torch import Generator, Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.core.errors import UserError, attribute_errors_to
from trainer.core.logged_metrics import ADVERSARIAL_METRICS
from trainer.core.spec import Batch
from trainer.task.adversarial_networks import AdversarialNetworks, is_adversarial
from trainer.task.gradient_accumulation import count_batches_in_step, scale_gradients
from trainer.task.losses import NO_PENALTY
from trainer.task.objective import ClassificationObjective, Objective, make_objective
from trainer.task.scheduler_config import make_scheduler_config
from trainer.task.schedulers import SchedulerFactory

OptimizerFactory = Callable[..., Optimizer]
NETWORKS = ("generator", "discriminator")
TRAINING_NOISE = 0  # purposes of noise
EVALUATION_NOISE = 1


class Adversarial(LightningModule):
    """Train two networks against each other: for each batch a step of the discriminator, then one of the generator.

    Both steps use the same generated inputs.

    Logs `train/`, `val/` and `test/` with both losses, and with `real` and `fake`: the mean probability of being real
    that the discriminator assigns to inputs of the data and of the generator. Lightning counts generator steps.

    Args:
        net: Generator and discriminator.
        objective: Not used, as both losses are fixed; must have its default settings.
        optimizer: Factory that receives the parameters of each network.
        scheduler: Factory that receives each optimizer, and `total_steps` if it has this parameter.
        discriminator_optimizer: Factory for the discriminator. Defaults to `optimizer`.
        label_smoothing: Difference between 1 and the target of the discriminator for real inputs, in [0, 1).

    Raises:
        UserError: The net has no generator and discriminator, or a setting has no effect here.

    Source:
        Goodfellow et al. 2014, Generative adversarial nets: algorithm 1, and the generator's loss of the end of
        section 3; Salimans et al. 2016, Improved techniques for training GANs: one-sided label smoothing.
    """

    def __init__(
        self,
        net: AdversarialNetworks,
        objective: Objective,
        optimizer: OptimizerFactory,
        scheduler: SchedulerFactory,
        *,
        discriminator_optimizer: OptimizerFactory | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not is_adversarial(net):
            raise UserError(f"model: {type(net).__name__} has no generator and discriminator; use model=gan")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"model.label_smoothing: {label_smoothing} is not in [0, 1)")
        _require_default_objective(objective)
        self.automatic_optimization = False
        self.net = net
        self.make_scheduler = scheduler
        self.real_label = 1 - label_smoothing
        self.make_optimizers = {"generator": optimizer, "discriminator": discriminator_optimizer or optimizer}
        self.seed = torch.initial_seed()  # seed of the run
        self._accumulate_grad_batches = 1
        self._batch_weight = 1.0  # of a batch in its step
        self._pending_fakes: list[tuple[Tensor, Tensor]] = []  # inputs and targets of the next generator step

    @property
    def logged_metrics(self) -> list[str]:
        """Names of all metrics that this task logs; callbacks may monitor them."""
        return [f"{stage}/{name}" for stage in ("train", "val", "test") for name in ADVERSARIAL_METRICS]

    def get_optimizer_name(self, optimizer: Optimizer) -> str:
        """Return the name of the network of an optimizer, for callbacks."""
        return NETWORKS[self.trainer.optimizers.index(optimizer)]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.net.discriminator(inputs)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        inputs, targets = batch
        weight = 1 / count_batches_in_step(self.trainer, batch_idx)
        if self._pending_fakes and weight != self._batch_weight:  # the epoch ended, and its length was unknown
            scale_gradients(self.trainer.optimizers[1:], weight / self._batch_weight)
        self._batch_weight = weight
        noise = self._sample_noise(inputs, TRAINING_NOISE, self.current_epoch, batch_idx)
        fakes = self.net.generate(noise, targets)
        self._pending_fakes.append((fakes, targets))
        real_logits = self.net.discriminate(inputs, targets)  # (batch, 1)
        fake_logits = self.net.discriminate(fakes.detach(), targets)
        loss = discriminator_loss(real_logits, fake_logits, self.real_label)
        self.manual_backward(weight * loss)
        self._log("train", {"discriminator_loss": loss.detach()} | _compute_probabilities(real_logits, fake_logits))
        if (batch_idx + 1) % self.trainer.accumulate_grad_batches and not self.trainer.is_last_batch:
            return

        optimizers: Any = self.optimizers()
        generator_optimizer, discriminator_optimizer = optimizers
        # like `discriminator_optimizer.step()`, but Lightning does not count it as a step of the training
        self.trainer.strategy.optimizer_step(discriminator_optimizer.optimizer, lambda: None)
        discriminator_optimizer.zero_grad()
        self.toggle_optimizer(generator_optimizer)  # the weights of the discriminator get no gradients
        for fakes, targets in self._pending_fakes:  # generating new ones would cost a sixth more
            loss = generator_loss(self.net.discriminate(fakes, targets))
            self.manual_backward(weight * loss)
        self.untoggle_optimizer(generator_optimizer)
        generator_optimizer.step()
        generator_optimizer.zero_grad()
        self._pending_fakes.clear()
        self.net.update_average()
        self._log("train", {"generator_loss": loss.detach()})
        self._step_schedulers()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate("test", batch, batch_idx)

    def configure_callbacks(self) -> Sequence[Callback]:
        # Lightning would reject accumulation with manual optimization after this hook; this task supports it
        self._accumulate_grad_batches = self.trainer.accumulate_grad_batches
        self.trainer.accumulate_grad_batches = 1
        return []

    def setup(self, stage: str) -> None:
        self.trainer.accumulate_grad_batches = self._accumulate_grad_batches

    def configure_optimizers(self) -> Any:
        options = getattr(self.trainer.strategy, "_ddp_kwargs", None)  # only DDP has this attribute
        if options is not None and not options.get("find_unused_parameters"):
            raise UserError(
                "trainer.strategy: DDP would wait for gradients of the network that is not trained in a step; use "
                "trainer.strategy=ddp_find_unused_parameters_true"
            )
        configs = []
        for name, factory in self.make_optimizers.items():
            is_separate = name == "discriminator" and factory is not self.make_optimizers["generator"]
            with attribute_errors_to("model.discriminator_optimizer" if is_separate else "optimizer"):
                optimizer = factory(getattr(self.net, name).parameters())
            with attribute_errors_to("scheduler"):
                schedule = make_scheduler_config(self.make_scheduler, optimizer, self.trainer)
            if isinstance(schedule["scheduler"], ReduceLROnPlateau):
                raise UserError("scheduler: adversarial training does not support plateau; use another scheduler")
            configs.append({"optimizer": optimizer, "lr_scheduler": {**schedule, "name": f"lr_{name}"}})
        return configs

    def _sample_noise(self, inputs: Tensor, *key: int) -> Tensor:
        """Return noise (batch, latent) that only depends on seed and key, so that a resumed run has the same."""
        seed = self.seed if key[0] == TRAINING_NOISE else 0  # the same evaluation noise in all runs
        entropy = (seed, self.global_rank, *key, *[0] * (4 - len(key)))
        state = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
        return torch.randn(len(inputs), self.net.latent, generator=Generator().manual_seed(state)).to(inputs)

    def _step_schedulers(self) -> None:
        """Step the schedulers as Lightning does with automatic optimization."""
        counts = {"step": self.global_step, "epoch": self.current_epoch + 1}
        for schedule in self.trainer.lr_scheduler_configs:
            is_due = schedule.interval == "step" or self.trainer.is_last_batch
            if is_due and counts[schedule.interval] % schedule.frequency == 0:
                schedule.scheduler.step()  # type: ignore[call-arg]  # ReduceLROnPlateau is rejected

    def _evaluate(self, stage: str, batch: Batch, batch_idx: int) -> None:
        inputs, targets = batch
        fakes = self.net.generate(self._sample_noise(inputs, EVALUATION_NOISE, batch_idx), targets)
        real_logits = self.net.discriminate(inputs, targets)
        fake_logits = self.net.discriminate(fakes, targets)
        values = {
            "discriminator_loss": discriminator_loss(real_logits, fake_logits, self.real_label),
            "generator_loss": generator_loss(fake_logits),
            **_compute_probabilities(real_logits, fake_logits),
        }
        self._log(stage, values, batch_size=len(inputs), sync_dist=True)

    def _log(self, stage: str, values: dict[str, Tensor], **kwargs: Any) -> None:
        for name, value in values.items():
            self.log(f"{stage}/{name}", value, prog_bar=name.endswith("_loss") and stage == "train", **kwargs)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, real_label: float = 1.0) -> Tensor:
    """Return the binary cross-entropy of the discriminator: mean over real inputs plus mean over fake ones.

    Shapes:
        real_logits, fake_logits: (batch, 1)
        returns: ()
    """
    real_loss = F.binary_cross_entropy_with_logits(real_logits, torch.full_like(real_logits, real_label))
    return real_loss + F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Return the loss -log D(G(z)) of the generator, which does not saturate as log(1 - D(G(z))) does.

    Shapes:
        fake_logits: (batch, 1)
        returns: ()
    """
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


def _compute_probabilities(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    logits = {"real": real_logits, "fake": fake_logits}
    return {name: values.detach().float().sigmoid().mean() for name, values in logits.items()}


def _require_default_objective(objective: Objective) -> None:
    """Raise a `UserError` for settings of the objective that would have no effect."""
    if isinstance(objective, ClassificationObjective) and objective.label_smoothing:
        raise UserError(
            "objective.label_smoothing: no effect on adversarial training; set model.label_smoothing instead"
        )
    default: Any = make_objective(objective.spec)
    if {*objective.metrics()} != {*default.metrics()}:
        raise UserError("objective.metrics: no effect on adversarial training; expected the default")
    if objective.penalty != NO_PENALTY or getattr(objective, "distance", None) is not default.distance:
        raise UserError("objective: loss and penalty have no effect on adversarial training; expected the defaults")
