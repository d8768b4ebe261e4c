"""User-defined callbacks and tasks for tests of the fast loop."""

import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import LambdaCallback
from torchmetrics import MeanMetric

from trainer.callbacks.gradient_clipping import GradientClipping
from trainer.task.supervised import Supervised
from trainer.training.loop.hook_dispatch import STEP_HOOKS

CALLS = []


class EpochRecorder(Callback):
    """Records the hooks that are not called at every step, with the state of the trainer."""

    def __init__(self, path="calls.txt"):
        self.path, self.lines = path, []

    def record(self, name, trainer, task, *arguments):
        metrics = {name: round(float(value.detach()), 9) for name, value in sorted(trainer.callback_metrics.items())}
        loop = trainer.fit_loop.epoch_loop
        state = (trainer.current_epoch, trainer.global_step, loop.batch_idx, loop.total_batch_idx)
        state += (trainer.is_last_batch, trainer.training, trainer.validating, trainer.testing, task.training)
        self.lines.append(f"{name} {state} {metrics} {[summary(argument) for argument in arguments]}")

    def teardown(self, trainer, task, stage):
        self.record(f"teardown {stage}", trainer, task)
        with open(self.path, "w") as file:
            file.write("\n".join(self.lines))


def summary(value):
    if isinstance(value, dict):
        return {name: summary(item) for name, item in value.items()}
    if isinstance(value, torch.Tensor):
        return [tuple(value.shape), round(float(value.detach().double().sum()), 6)]
    return [summary(item) for item in value] if isinstance(value, (list, tuple)) else type(value).__name__


def recording_hook(name):
    return lambda self, trainer, task, *arguments: self.record(name, trainer, task, *arguments)


class StepRecorder(EpochRecorder):
    """Records every hook."""


for name in dir(Callback):
    if name.startswith("on_") and not any(part in name for part in ("_checkpoint", "predict", "exception")):
        setattr(StepRecorder if name in STEP_HOOKS else EpochRecorder, name, recording_hook(name))


class LogsEpochMeans(Supervised):
    """Logs means of the epoch, in both of Lightning's ways."""

    def __init__(self, **parts):
        super().__init__(**parts)
        self.mean_loss = MeanMetric()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.mean_loss(loss.detach())
        self.log("train/mean", self.mean_loss, on_step=False, on_epoch=True)
        self.log("train/both", loss, on_step=True, on_epoch=True)
        return loss


class LogsWithOptions(LogsEpochMeans):
    """Logs with options that need Lightning's own method."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log_dict({"train/plain": loss.detach() * 2, "train/number": batch_idx})
        return {"loss": loss, "extra": loss.detach()}

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


class HalvingClipper(GradientClipping):
    """Halves every gradient, except in each twentieth call."""

    def clip_gradients(self, optimizer):
        CALLS.append(1)
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for weight in weights:
            weight.grad = weight.grad * (0.5 if len(CALLS) % 20 else 1)
        return weights[0].grad.norm()


def lambda_recorder(path):
    """Return a callback that records steps and validations, by hooks of the instance and not of its class."""

    def record(trainer, *_):
        with open(path, "a") as file:
            print(trainer.global_step, trainer.validating, file=file)

    return LambdaCallback(on_train_batch_end=record, on_validation_end=record)


class SkipsBatches(Supervised):
    """Returns no loss for some batches."""

    def training_step(self, batch):
        return None if len(batch[1]) % 2 else super().training_step(batch, 0)


class LogsEverywhere(StepRecorder):
    """Logs in every hook in which Lightning allows it, with all options; records the metrics of the progress bar."""

    def record(self, name, trainer, task, *arguments):
        super().record(name, trainer, task, *arguments)
        metrics = {name: round(float(value), 9) for name, value in sorted(trainer.progress_bar_metrics.items())}
        self.lines.append(str(metrics))


def logging_hook(hook):
    is_step_hook = "batch" in hook or "before" in hook or "after" in hook

    def log(self, trainer, task, *arguments):
        number = float(trainer.global_step)
        is_rare = trainer.fit_loop.epoch_loop.batch_idx % 3 == 0
        self.log(f"{hook}/plain", number)
        self.log(f"{hook}/shown", torch.tensor([number]), prog_bar=True, sync_dist=True)
        self.log(f"{hook}/hidden", number, logger=False)
        self.log(f"{hook}/epoch", number, on_step=False, on_epoch=True, reduce_fx="max")
        self.log_dict({f"{hook}/one": 1, f"{hook}/two": number + 2}, batch_size=2)
        task.log(f"{hook}/task", number)
        if is_step_hook:
            self.log(f"{hook}/step", number, on_step=True, on_epoch=False)
            self.log(f"{hook}/both", number, on_step=True, on_epoch=True)
        if is_step_hook and is_rare:
            self.log(f"{hook}/rare", number, on_step=True, on_epoch=True)
            self.log(f"{hook}/seldom", number)
        self.record(hook, trainer, task, *arguments)

    return log


for name in (
    *("on_train_start", "on_train_epoch_start", "on_train_epoch_end", *STEP_HOOKS),
    *("on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end"),
    *("on_validation_epoch_end", "on_test_start", "on_test_epoch_start", "on_test_batch_start", "on_test_batch_end"),
    "on_test_epoch_end",
):
    setattr(LogsEverywhere, name, logging_hook(name))


class LogsBetweenEpochs(EpochRecorder):
    """Logs in the hooks that are not called at every step, so that steps run without hooks."""


for name in ("on_train_start", "on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_end"):
    setattr(LogsBetweenEpochs, name, logging_hook(name))
