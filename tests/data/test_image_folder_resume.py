"""A run on image files with workers, stopped and resumed within an epoch."""

import multiprocessing
from pathlib import Path

import pytest
import torch
from PIL import Image


@pytest.fixture
def image_dir(tmp_path):
    """Write 30 images in three classes."""
    for name in ("bee", "cat", "dog"):
        (tmp_path / "my" / name).mkdir(parents=True)
        for number in range(10):
            Image.effect_noise((12, 10), 100).convert("RGB").save(tmp_path / f"my/{name}/{number}.png")


@pytest.mark.slow
@pytest.mark.usefixtures("user_module", "image_dir")
def test_a_run_with_workers_resumed_within_an_epoch_has_the_same_result(command):
    overrides = [
        "+callbacks.stop={_target_: users.StopAt, step: 8}",
        "data=image_folder",
        "data.path=my",
        "data.size=8",
        "data.batch_size=4",
        "model=cnn",
        "model.net.channels=[2,2]",
        "model.net.hidden=[4]",
        "data.augmentation=[flip,color_jitter,cutmix]",
        "model.net.dropout=0.5",
        "trainer.max_epochs=4",
        "data.workers=2",
        "data.cache=false",
    ]
    assert command(*overrides, "hydra.run.dir=whole").code == 0
    Path("stop.txt").write_text("SIGTERM")
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
