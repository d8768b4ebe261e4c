"""Equality of stopped and resumed runs with uninterrupted ones: weights, logged values, each step once."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.event_file_writer import AtomicCounter

TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "trainer.log_every_n_steps=4", "trainer.max_epochs=3"]
DROPOUT = ["model.net.dropout=0.5", "data.augmentation=[alternating_flip,{affine:{shift_pixels:1}},mixup,cutmix]"]

USERS = '''
import signal
from pathlib import Path

from recording_callbacks import LogsEpochMeans
from pytorch_lightning import Callback


class StopAt(Callback):
    """Sends SIGTERM after the number of batches that is the first one in stops.txt, and removes it there."""

    skips_steps = True  # steps between logged ones run without hooks, as in a default run

    def on_train_batch_end(self, trainer, *_):
        file = Path("stops.txt")
        stops = [int(number) for number in file.read_text().split()] if file.exists() else []
        if stops and trainer.fit_loop.total_batch_idx + 1 >= stops[0]:
            file.write_text(" ".join(map(str, stops[1:])))
            signal.raise_signal(signal.SIGTERM)


class LogsMaximum(LogsEpochMeans):
    """Logs the maximum loss of some batches as well."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if batch_idx % 3 == 0:
            self.log("train/max", loss, on_step=False, on_epoch=True, reduce_fx="max")
        return loss
'''

WARM_UP = "{_target_: torch.optim.lr_scheduler.LinearLR, _partial_: true, total_iters: 15}"
RESTARTS = "{_target_: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts, _partial_: true, T_0: 9}"
GAN = ["model=gan", "model.net.generator=[8]", "model.net.discriminator=[8]"]
QUICK = ("dropout and augmentation",)
GANS = ("a GAN", "a GAN that accumulates")
SETTINGS = {
    "dropout and augmentation": DROPOUT,
    "a schedule and clipping": ["scheduler=cosine", "optimizer=sgd", "callbacks=[default,gradient_clipping]", *DROPOUT],
    "plateau, validation within the epoch": ["scheduler=plateau", "+trainer.val_check_interval=6", *DROPOUT],
    "accumulation": ["trainer.accumulate_grad_batches=3", "scheduler=onecycle", *DROPOUT],
    "validation by steps": ["+trainer.val_check_interval=7", "trainer.check_val_every_n_epoch=null", *DROPOUT],
    "rare validation": ["trainer.check_val_every_n_epoch=2", *DROPOUT],
    "fewer batches": ["+trainer.limit_train_batches=13", "+trainer.limit_val_batches=2", "data.eval_batch_size=50"],
    "fixed number of steps": ["+trainer.max_steps=50", "trainer.max_epochs=-1", *DROPOUT],
    "imbalanced classes": [
        *["data=diabetes", "data.synthetic=true", "objective.threshold=f1", "objective.metrics=[f1,brier]"],
        *["data.sampling=balanced", "objective.class_weights=[1,2]", "+trainer.val_check_interval=6"],
    ],
    "early stopping": [
        *["callbacks=[default,early_stopping]", "callbacks.early_stopping.patience=1", *DROPOUT],
        *["callbacks.early_stopping.min_delta=9", "trainer.max_epochs=9", "+trainer.val_check_interval=6"],
    ],
    "autocast": ["trainer.precision=bf16-mixed", *DROPOUT],
    "means over the epoch": ["model._target_=users.LogsMaximum", *DROPOUT],
    "Lightning's own loop": ["~callbacks.fast_loop", "+trainer.val_check_interval=6", *DROPOUT],
    "Lightning's own loop, means over the epoch": ["~callbacks.fast_loop", "model._target_=users.LogsMaximum"],
    "averaged weights": ["+callbacks.ema._target_=pytorch_lightning.callbacks.EMAWeightAveraging", *DROPOUT],
    "mean of the epochs": ["callbacks=[default,swa]", "callbacks.swa.start_epoch=1", "model.net.batch_norm=true"],
    "lookahead": ["callbacks=[default,lookahead]", "callbacks.lookahead.every_n_steps=3", *DROPOUT],
    "parameter groups": ["optimizer.groups={last: {pattern: layers.3, lr: 0.01}}", "scheduler=wsd", *DROPOUT],
    "two optimizers": ["optimizer=muon", "model.net.hidden=[4,4]", "scheduler=wsd", *DROPOUT],
    "one cycle of PyTorch": [
        *["scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "+scheduler.max_lr=0.1", *DROPOUT],
    ],
    "a sequence of schedules": [
        *["scheduler._target_=torch.optim.lr_scheduler.SequentialLR", "+scheduler.interval=step", *DROPOUT],
        *["+scheduler.milestones=[15]", f"+scheduler.schedulers=[{WARM_UP},{RESTARTS}]"],
    ],
    "several best checkpoints": ["callbacks.checkpoint.save_top_k=3", "callbacks.checkpoint.filename='{epoch}-{step}'"],
    "a GAN": GAN,
    "a GAN that accumulates": [
        *GAN,
        *["trainer.accumulate_grad_batches=3", "scheduler=cosine", "+trainer.val_check_interval=6"],
    ],
}


def read_results(run):
    """Return all numbers of a run."""
    files = {path.stem: torch.load(path, weights_only=True) for path in (run / "checkpoints").glob("*.ckpt")}
    last = files["last"]
    best = {name: content for name, content in files.items() if name not in ("last", "previous")}
    with (run / "metrics.csv").open() as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    return {
        "weights": {name: value.tolist() for name, value in last["state_dict"].items()},
        "best": {name: str(content["state_dict"]) for name, content in best.items()},
        "optimizers": str(last["optimizer_states"]),
        "schedules": str(last["lr_schedulers"]),
        "counters": last["loops"],
        "random": str(last["resume"]["random"]),
        "objective": last.get("objective"),  # not of a GAN
        "rows": rows,
        "scalars": read_scalars(run),
    }


def read_scalars(run):
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {
        name: [(event.step, repr(event.value)) for event in events.Scalars(name)]
        for name in sorted({*events.Tags()["scalars"]} - {"other/steps_per_second"})  # depends on the time
    }


def run_both(command, directory, arguments, stops):
    """Run without interruption, and with stops after some batches; return the results of each."""
    (directory / "users.py").write_text(USERS)
    shutil.copy(Path(__file__).with_name("training") / "loop" / "recording_callbacks.py", directory)
    (directory / "stops.txt").write_text("")
    # as in a new process: TensorBoard reads .10 before .9 of the same second
    event_file_writer._global_uid = AtomicCounter(0)
    results = []
    for name in ("uninterrupted", "stopped"):
        overrides = [*arguments, "+callbacks.stop._target_=users.StopAt", f"hydra.run.dir={name}"]
        outcome = command(*overrides)
        while outcome.code == 143:
            outcome = command("resume", name, "--trust=users")
        assert outcome.code == 0, outcome.err
        results.append(read_results(directory / name))
        assert (directory / "stops.txt").read_text() == "", "not every stop was reached"
        (directory / "stops.txt").write_text(" ".join(map(str, stops)))
        sys.modules.pop("users", None)
    return results


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in SETTINGS]
)
def test_a_stopped_and_resumed_run_has_the_same_results(setting, command, tmp_path):
    common = [override for override in TINY if setting not in GANS or "hidden" not in override]
    stops = [1, 8] if setting == "early stopping" else [1, 8, 20, 31]
    uninterrupted, stopped = run_both(command, tmp_path, [*common, *SETTINGS[setting]], stops)
    for name in uninterrupted:
        assert uninterrupted[name] == stopped[name], name


@pytest.mark.slow
def test_a_killed_and_resumed_run_has_the_same_results():
    script = Path(__file__).with_name("crash") / "kill.py"
    arguments = [*TINY, *DROPOUT, "times=2", "moments=4"]
    answer = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "| identical |" in answer.stdout
