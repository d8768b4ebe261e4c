"""GAN runs of the command, with gradient accumulation, resuming and several processes."""

import csv
import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

GAN = ["model=gan", "data=digits", "model.net.generator=[8]", "model.net.discriminator=[8]"]
STEPS = 20  # per epoch: 1257 training digits, batch size 64


def read_weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def test_a_run_saves_its_last_epoch_and_counts_generator_steps(command):
    outcome = command(*GAN, "trainer.max_epochs=2", "trainer.log_every_n_steps=5")
    assert (outcome.code, outcome.err) == (0, "")
    [run] = outcome.runs
    result = json.loads((run / "result.json").read_text())
    assert (result["steps"], result["epochs"]) == (2 * STEPS, 2)
    assert f"epoch 2/2  step {2 * STEPS}  " in outcome.out
    best = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert (best["epoch"], best["global_step"]) == (2, 2 * STEPS)
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows if row["train/generator_loss"]] == list(range(4, 2 * STEPS, 5))
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Images("samples")] == [STEPS, 2 * STEPS]
    assert {"other/lr_generator", "other/lr_discriminator", "generator_loss/val"} <= set(events.Tags()["scalars"])


def test_accumulated_batches_count_as_one_step(command):
    outcome = command(*GAN, "trainer.max_epochs=2", "trainer.accumulate_grad_batches=3", "scheduler=cosine")
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    assert json.loads((run / "result.json").read_text())["steps"] == 2 * 7
    [first, second] = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["lr_schedulers"]
    assert first["last_epoch"] == second["last_epoch"] == 2 * 7


@pytest.mark.slow
def test_continuing_two_epochs_gives_the_weights_of_four_epochs(command):
    overrides = [
        *GAN,
        "model.net.batch_norm=true",
        "model.net.ema_decay=0.9",
        "scheduler=step",
        "scheduler.every_n_epochs=1",
    ]
    command(*overrides, "trainer.max_epochs=2", "hydra.run.dir=first")
    outcome = command(
        *overrides,
        "trainer.max_epochs=4",
        "ckpt_path=first/checkpoints/last.ckpt",
        "hydra.run.dir=continued",
        "test=false",
    )
    assert outcome.code == 0, outcome.err
    command(*overrides, "trainer.max_epochs=4", "hydra.run.dir=uninterrupted")
    actual, expected = (read_weights(outcome.directory / name) for name in ("continued", "uninterrupted"))
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    assert json.loads((outcome.directory / "continued/result.json").read_text())["steps"] == 4 * STEPS


def test_early_stopping_and_monitoring_work_for_a_gan(command):
    outcome = command(
        *[*GAN, "trainer.max_epochs=9", "callbacks=[default,early_stopping]"],
        *["callbacks.early_stopping.monitor=val/fake", "callbacks.early_stopping.mode=max"],
        *["callbacks.early_stopping.min_delta=2", "callbacks.early_stopping.patience=1"],
        "callbacks.checkpoint.monitor=val/generator_loss",
    )
    assert outcome.code == 0, outcome.err
    [run] = outcome.runs
    result = json.loads((run / "result.json").read_text())
    assert result["epochs"] == 2
    assert "val/generator_loss_best" in result["metrics"]


@pytest.mark.slow
def test_a_monitored_metric_that_a_gan_does_not_log_is_refused(command):
    outcome = command(*GAN, "callbacks=[default,early_stopping]")
    assert outcome.code == 1
    assert "callbacks.early_stopping.monitor: no metric 'val/loss' is logged; " in outcome.err
    assert "there are: train/disc" in outcome.err


@pytest.mark.slow
def test_several_processes_train_a_gan_or_the_message_names_the_strategy(process, monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    ddp = [*GAN, "trainer=ddp_sim", "data.batch_size=32", "trainer.max_epochs=1"]
    refused = process(*ddp, MASTER_ADDR="127.0.0.1")
    assert refused.code == 1
    assert "use trainer.strategy=ddp_find_unused_parameters_true" in refused.err
    outcome = process(*ddp, "trainer.strategy=ddp_find_unused_parameters_true", MASTER_ADDR="127.0.0.1")
    assert outcome.code == 0, outcome.err
    assert json.loads((outcome.runs[-1] / "result.json").read_text())["steps"] == -(-629 // 32)
