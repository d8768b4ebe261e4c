"""A run on image files with workers, stopped and resumed within an epoch."""

import multiprocessing
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

STOP_CALLBACK = """
import signal
from pathlib import Path
from pytorch_lightning import Callback


class StopAt(Callback):
    def on_train_batch_end(self, trainer, *_):
        file = Path("stop")
        if file.exists() and trainer.fit_loop.total_batch_idx + 1 == 8:
            file.unlink()
            signal.raise_signal(signal.SIGTERM)
"""


@pytest.fixture
def stop_callback(tmp_path, monkeypatch):
    """Return the override of a callback that stops a run if there is a file `stop`; also write 30 images."""
    for name in ("bee", "cat", "dog"):
        (tmp_path / "my" / name).mkdir(parents=True)
        for number in range(10):
            Image.effect_noise((12, 10), 100).convert("RGB").save(tmp_path / f"my/{name}/{number}.png")
    monkeypatch.setenv("TRAINER_TRUST", "stops")
    (tmp_path / "stops.py").write_text(STOP_CALLBACK)
    yield "+callbacks.stop._target_=stops.StopAt"
    sys.modules.pop("stops", None)


@pytest.mark.slow
def test_a_run_with_workers_resumed_within_an_epoch_has_the_same_result(stop_callback, command):
    overrides = [
        stop_callback,
        "data=image_folder",
        "data.path=my",
        "data.size=8",
        "data.batch_size=4",
        "model=cnn",
        "model.net.channels=[2,2]",
        "model.net.hidden=[4]",
        "data.horizontal_flip=true",
        "model.net.dropout=0.5",
        "trainer.max_epochs=4",
        "data.workers=2",
    ]
    assert command(*overrides, "hydra.run.dir=whole").code == 0
    Path("stop").touch()
    assert command(*overrides, "hydra.run.dir=stopped").code == 143
    assert multiprocessing.active_children() == []
    checkpoint = torch.load("stopped/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 8  # of 5 an epoch
    assert command("resume", "stopped", "data.workers=1").code == 0
    ends = [torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True) for run in ("whole", "stopped")]
    assert [end["global_step"] for end in ends] == [20, 20]
    for name, weight in ends[0]["state_dict"].items():
        assert torch.equal(weight, ends[1]["state_dict"][name]), name
    assert Path("whole/metrics.csv").read_text() == Path("stopped/metrics.csv").read_text()
