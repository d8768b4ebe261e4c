"""Runs of a LightningModule and a data module that do not know this package: stopped, resumed, replayed, predicted."""

import shutil
from pathlib import Path

import pytest
import torch

LOADERS = Path(__file__).parent / "external_project/src/external_project/loaders.py"
RUN = ["data=points", "model=points", "seed=1", "trainer.log_every_n_steps=1"]
STOP = '''
import os, signal
from pathlib import Path
from pytorch_lightning import Callback


class Stop(Callback):
    """Sends a signal to the process after a step, once."""

    def __init__(self, step, signal):
        self.step = step
        self.signal = signal

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step and not Path("stopped").exists():
            Path("stopped").touch()
            os.kill(os.getpid(), self.signal)
'''


@pytest.fixture
def project(tmp_path):
    """Write a project of two modules outside of git."""
    shutil.copy(LOADERS, tmp_path / "loaders.py")
    (tmp_path / "stop.py").write_text(STOP)
    for group, name in (("data", "Loaders"), ("model", "Classifier")):
        (tmp_path / f"conf/{group}").mkdir(parents=True)
        (tmp_path / f"conf/{group}/points.yaml").write_text(f"_target_: loaders.{name}\n")
    return tmp_path


def read_weights(run):
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def is_equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first) and first.keys() == second.keys()


def read_metrics(run):
    return (run / "metrics.csv").read_text()


STOPS = {"SIGTERM": 15, "SIGKILL": 9}


@pytest.mark.parametrize(
    ("signal", "workers"),
    [
        ("SIGKILL", 2),
        pytest.param("SIGKILL", 0, marks=pytest.mark.slow),
        pytest.param("SIGTERM", 0, marks=pytest.mark.slow),
        pytest.param("SIGTERM", 2, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_is_resumed_with_equal_weights_and_curves(signal, workers, project, process):
    options = [*RUN, "trainer.max_epochs=2", f"+data.num_workers={workers}", "callbacks.checkpoint.every_minutes=1e-9"]
    stop = [f"+callbacks.stop={{_target_:stop.Stop,step:%d,signal:{STOPS[signal]}}}"]
    reference = process(*options, stop[0] % -1, "hydra.run.dir=reference")
    assert reference.code == 0, reference.err
    stopped = process(*options, stop[0] % 11, "hydra.run.dir=run")
    assert stopped.code in (-9, 143), stopped.err
    resumed = process("resume", "run", "--trust=loaders,stop")
    assert resumed.code == 0, resumed.err
    assert "resume last.ckpt, step 1" in resumed.out
    assert "cannot be positioned" not in resumed.out + resumed.err
    assert is_equal(read_weights(project / "reference"), read_weights(project / "run"))
    assert read_metrics(project / "reference") == read_metrics(project / "run")
