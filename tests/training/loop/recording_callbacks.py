"""What users of lean steps bring along: callbacks that look on, and tasks of their own."""

import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import LambdaCallback
from torchmetrics import MeanMetric

from trainer.callbacks.gradient_clipping import GradientClipping
from trainer.task.supervised import Supervised
from trainer.training.loop.hook_dispatch import STEP_HOOKS

CALLS = []


class Onlooker(Callback):
    """Writes down the hooks that are not called at every step, with what the trainer says at that moment."""

    def __init__(self, path="calls.txt"):
        self.path, self.lines = path, []

    def note(self, name, trainer, task, *more):
        known = {name: round(float(value.detach()), 9) for name, value in sorted(trainer.callback_metrics.items())}
        loop = trainer.fit_loop.epoch_loop
        place = (trainer.current_epoch, trainer.global_step, loop.batch_idx, loop.total_batch_idx)
        place += (trainer.is_last_batch, trainer.training, trainer.validating, trainer.testing, task.training)
        self.lines.append(f"{name} {place} {known} {[kind(one) for one in more]}")

    def teardown(self, trainer, task, stage):
        self.note(f"teardown {stage}", trainer, task)
        with open(self.path, "w") as out:
            out.write("\n".join(self.lines))


def kind(value):
    if isinstance(value, dict):
        return {name: kind(one) for name, one in value.items()}
    if isinstance(value, torch.Tensor):
        return [tuple(value.shape), round(float(value.detach().double().sum()), 6)]
    return [kind(one) for one in value] if isinstance(value, (list, tuple)) else type(value).__name__


def recording(name):
    return lambda self, trainer, task, *more: self.note(name, trainer, task, *more)


class Recorder(Onlooker):
    """Writes down every hook."""


for name in dir(Callback):
    if name.startswith("on_") and not any(word in name for word in ("_checkpoint", "predict", "exception")):
        setattr(Recorder if name in STEP_HOOKS else Onlooker, name, recording(name))


class Gathering(Supervised):
    """Gathers means through the epoch, in both of Lightning's ways."""

    def __init__(self, *given):
        super().__init__(*given)
        self.seen = MeanMetric()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.seen(loss.detach())
        self.log("train/seen", self.seen, on_step=False, on_epoch=True)
        self.log("train/both", loss, on_step=True, on_epoch=True)
        return loss


class Talkative(Gathering):
    """Logs in further ways that need Lightning's own bookkeeping."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log_dict({"train/plain": loss.detach() * 2, "train/number": batch_idx})
        return {"loss": loss, "more": loss.detach()}

    def validation_step(self, batch, batch_idx):
        self.log("val/worst", batch_idx, reduce_fx="max")
        self.log("val/rows", float(len(batch[1])))
        self.log("val/each", float(batch_idx), on_step=True)
        return super().validation_step(batch, batch_idx)

    def test_step(self, batch, batch_idx):
        self.log("test/worst", batch_idx, reduce_fx="max")
        return super().test_step(batch, batch_idx)

    def on_before_optimizer_step(self, optimizer):
        self.log("train/rate", optimizer.param_groups[0]["lr"])


class Halving(GradientClipping):
    """Halves every gradient, but for each twentieth time."""

    def bound(self, optimizer):
        CALLS.append(1)
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for weight in weights:
            weight.grad = weight.grad * (0.5 if len(CALLS) % 20 else 1)
        return weights[0].grad.norm()


def noting(path):
    """Writes down steps and validations, by hooks of its own and none of its class."""

    def note(trainer, *_):
        with open(path, "a") as file:
            print(trainer.global_step, trainer.validating, file=file)

    return LambdaCallback(on_train_batch_end=note, on_validation_end=note)


class Skipping(Supervised):
    """Has no loss for some batches."""

    def training_step(self, batch):
        return None if len(batch[1]) % 2 else super().training_step(batch, 0)


class LogsEverywhere(Recorder):
    """Logs in every hook in which Lightning allows it, in all the ways that there are; notes what the bar shows."""

    def note(self, name, trainer, task, *more):
        super().note(name, trainer, task, *more)
        shown = {one: round(float(value), 9) for one, value in sorted(trainer.progress_bar_metrics.items())}
        self.lines.append(str(shown))


def logging_in(hook):
    of_batch = "batch" in hook or "before" in hook or "after" in hook

    def log(self, trainer, task, *more):
        number, rare = float(trainer.global_step), trainer.fit_loop.epoch_loop.batch_idx % 3 == 0
        self.log(f"{hook}/plain", number)
        self.log(f"{hook}/shown", torch.tensor([number]), prog_bar=True, sync_dist=True)
        self.log(f"{hook}/hidden", number, logger=False)
        self.log(f"{hook}/epoch", number, on_step=False, on_epoch=True, reduce_fx="max")
        self.log_dict({f"{hook}/one": 1, f"{hook}/two": number + 2}, batch_size=2)
        task.log(f"{hook}/task", number)
        if of_batch:
            self.log(f"{hook}/step", number, on_step=True, on_epoch=False)
            self.log(f"{hook}/both", number, on_step=True, on_epoch=True)
        if of_batch and rare:
            self.log(f"{hook}/rare", number, on_step=True, on_epoch=True)
            self.log(f"{hook}/seldom", number)
        self.note(hook, trainer, task, *more)

    return log


for name in (
    *("on_train_start", "on_train_epoch_start", "on_train_epoch_end", *STEP_HOOKS),
    *("on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end"),
    *("on_validation_epoch_end", "on_test_start", "on_test_epoch_start", "on_test_batch_start", "on_test_batch_end"),
    "on_test_epoch_end",
):
    setattr(LogsEverywhere, name, logging_in(name))


class LogsAtBoundaries(Onlooker):
    """Logs in the hooks that are not called at every step: steps are made in a row beside it."""


for name in ("on_train_start", "on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_end"):
    setattr(LogsAtBoundaries, name, logging_in(name))
