"""Runs with a process that fails, is killed or stopped: one error, the right state, no remaining process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

PIECES = """
import os
import signal
import time
from pathlib import Path

from pytorch_lightning import Callback

from trainer.core.errors import UserError
from trainer.task.supervised import Supervised


class Fail(Callback):
    def __init__(self, how, rank=1):
        self.how, self.rank = how, rank

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        Path(f"process-{trainer.global_rank}").write_text(str(os.getpid()))
        if trainer.global_rank != self.rank or batch_idx != 2:
            return
        if self.how == "user":
            raise UserError("data.path: an error in one process")
        if self.how == "code":
            raise ValueError("a bug in one process")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exit":
            os._exit(3)
        if self.how == "term":
            signal.raise_signal(signal.SIGTERM)
        time.sleep(100)


class Bad(Supervised):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if (self.global_rank, batch_idx) == (1, 9) else loss
"""
DDP = ["data=digits", "model=mlp", "trainer=ddp_sim", "trainer.max_epochs=2", "logger=none", "hydra.run.dir=run"]
FAIL = ["callbacks=[checkpoint]", "+callbacks.fail._target_=pieces.Fail"]


@pytest.fixture(autouse=True)
def pieces(monkeypatch, tmp_path):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    (tmp_path / "pieces.py").write_text(PIECES)


def running_processes(directory):
    pids = [int(file.read_text()) for file in directory.glob("process-*")]
    assert len(pids) == 2
    return [pid for pid in pids if is_running(pid)]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]


def read_state(directory):
    return json.loads((directory / "run/result.json").read_text())["state"]


CASES = {
    "user": (1, "failed", "error: data.path: an error in one process\n"),
    "kill": (1, "failed", "error: rank 1 of 2 was killed by SIGKILL\n"),
    "exit": (1, "failed", "error: rank 1 of 2 exited with status 3 before the run finished\n"),
    "code": (1, "failed", "ValueError: a bug in one process\n(rank 1 of 2)\n"),
    "term": (143, "interrupted", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.slow] * (how != "user")) for how in CASES])
def test_a_failure_of_one_process_ends_the_run_and_is_reported_once(how, command, tmp_path):
    code, state, message = CASES[how]
    outcome = command(*DDP, *FAIL, f"+callbacks.fail.how={how}")
    assert outcome.code == code
    assert outcome.err.count(message) == 1 if message else outcome.err == ""
    assert ("Traceback" in outcome.err) == (how == "code")
    assert read_state(tmp_path) == state
    assert running_processes(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "to_all", "code"), [("SIGINT", True, 130), ("SIGTERM", False, 143), ("SIGKILL", False, -9)]
)
def test_a_run_that_is_stopped_leaves_no_process(name, to_all, code, tmp_path):
    overrides = [*DDP, *FAIL, "+callbacks.fail.how=wait"]
    with (tmp_path / "output.txt").open("w") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "trainer", *overrides],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + 120
    while len([*tmp_path.glob("process-*")]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    (os.killpg if to_all else os.kill)(run.pid, getattr(signal, name))
    assert run.wait(60) == code
    time.sleep(1)
    assert running_processes(tmp_path) == []
    assert "Traceback" not in (tmp_path / "output.txt").read_text()
    if name != "SIGKILL":
        assert read_state(tmp_path) == "interrupted"


@pytest.mark.slow
def test_a_loss_that_is_not_finite_in_one_process_stops_all_before_anything_is_saved(command, tmp_path):
    outcome = command(*DDP, "callbacks=[checkpoint,finite_loss]", "model._target_=pieces.Bad")
    assert outcome.code == 1
    assert outcome.err.count("the loss is nan at step 10: epoch 1, batch 10, examples ") == 1
    assert not [*tmp_path.glob("run/checkpoints/*.ckpt")]


@pytest.mark.slow
def test_a_step_that_is_not_finite_in_one_process_is_left_out_in_all(command, tmp_path):
    overrides = ["callbacks=[checkpoint,finite_loss]", "callbacks.finite_loss.on_nonfinite=skip"]
    outcome = command(*DDP, *overrides, "model._target_=pieces.Bad")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("skipped: the loss is not finite at step 10: epoch 1, batch 10, examples ") == 1
    assert "skipped 2 step(s) with a loss that is not finite" in outcome.out
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in last["state_dict"].values())
    assert json.loads((tmp_path / "run/result.json").read_text())["metrics"]["test/accuracy"] > 0.3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("strategy", ["ddp_sim", "ddp"])
def test_runs_whose_processes_are_killed_at_random_have_the_results_of_an_uninterrupted_one(strategy):
    times = os.environ.get("TRAINER_TEST_RANK_KILLS", "3")
    script = Path(__file__).parents[2] / "crash/kill_rank.py"
    command = [sys.executable, script, f"strategies={strategy}", f"times={times}"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.endswith("| identical |\n")
