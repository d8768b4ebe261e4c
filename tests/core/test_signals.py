"""A signal ends a run, or a sweep, cleanly; what the machine refuses is told with what to type."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from trainer.artifacts.run_lock import state_of

pytestmark = pytest.mark.usefixtures("as_in_a_terminal")


@pytest.fixture(autouse=True)
def own_code(monkeypatch):
    """A run's config may name the module that these tests write."""
    monkeypatch.setenv("TRAINER_TRUST", "users")


TINY = ["data=digits", "model=mlp", "model.net.hidden=[4]", "model.net.dropout=0.5", "trainer.max_epochs=3"]
STOP = ["+callbacks.stop._target_=users.StopAt", "hydra.run.dir=run"]
USERS = """
import os
import signal
from pathlib import Path

import torch
from pytorch_lightning import Callback

from trainer.task.supervised import Supervised


class StopAt(Callback):
    def on_train_batch_end(self, trainer, *_):
        file = Path("stop.txt")
        if file.exists() and trainer.fit_loop.total_batch_idx + 1 == 27:
            for name in file.read_text().split():
                signal.raise_signal(getattr(signal, name))
            file.unlink()


class Greedy(Supervised):
    def training_step(self, batch, batch_idx):
        torch.empty(2**60)
"""


@pytest.mark.parametrize(("signals", "code"), [("SIGINT", 130), ("SIGTERM SIGTERM", 143), ("SIGINT SIGTERM", 143)])
def test_each_signal_has_its_exit_status_and_a_second_one_does_not_wait(signals, code, command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    (tmp_path / "stop.txt").write_text(signals)
    outcome = command(*TINY, *STOP)
    assert outcome.code == code
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["global_step"] == (27 if signals == "SIGINT" else 20)  # at once: nothing is saved any more
    assert state_of(tmp_path / "run") == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    sys.modules.pop("users", None)


@pytest.mark.slow
def test_a_signal_stops_the_whole_sweep(command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    (tmp_path / "stop.txt").write_text("SIGTERM")
    outcome = command("-m", *TINY, STOP[0], "seed=1,2,3", "hydra.sweep.dir=sweep")
    assert outcome.code == 143
    assert [run.name for run in (tmp_path / "sweep").iterdir() if run.is_dir()] == ["0"]
    again = command("-m", *TINY, STOP[0], "seed=1,2,3", "hydra.sweep.dir=sweep", "resume=auto")
    assert again.code == 0, again.err
    assert {state_of(tmp_path / f"sweep/{number}") for number in range(3)} == {"finished"}
    sys.modules.pop("users", None)


def test_out_of_memory_names_the_batch_size_and_what_to_type(command, tmp_path):
    (tmp_path / "users.py").write_text(USERS)
    outcome = command(*TINY, "model.task._target_=users.Greedy", "hydra.run.dir=run")
    assert outcome.code == 1
    assert "error: out of memory with data.batch_size=64: " in outcome.err
    assert "data.batch_size=32 trainer.accumulate_grad_batches=2" in outcome.err
    sys.modules.pop("users", None)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a process has loaded")
@pytest.mark.parametrize("words", [["data=xor"], ["check", "data=xor"]])
def test_ctrl_c_while_pytorch_is_imported_ends_the_command_without_a_traceback(words, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    begun = subprocess.Popen([sys.executable, "-m", "trainer", *words], cwd=tmp_path, **pipes)
    while "libtorch_python" not in Path(f"/proc/{begun.pid}/maps").read_text():
        assert begun.poll() is None
        time.sleep(0.001)
    os.kill(begun.pid, signal.SIGINT)
    said, _ = begun.communicate(timeout=60)
    assert (begun.returncode, said) == (130, "")
