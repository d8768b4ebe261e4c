"""Recognition of adversarial tasks and checkpoint callbacks by their class, whatever its name."""

import pytest

from trainer.training.preflight.consistency import check_consistency

MODULE = """
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Checkpoint

from trainer.task.adversarial import Adversarial


class TwoPlayers(Adversarial): ...
class NotAdversarial: ...
class Saver(Checkpoint): ...
class CheckpointSize(Callback): ...
"""


@pytest.fixture(autouse=True)
def user_classes(tmp_path, monkeypatch):
    (tmp_path / "user_classes.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def problems(task, callback):
    values = {
        "train": True,
        "test": True,
        "scheduler": {},
        "sweep": None,
        "optimized_metric": None,
        "trainer": {"gradient_clip_val": 1.0, "max_epochs": 1},
        "callbacks": {"mine": {"_target_": callback}},
        "model": {"_target_": task},
        "data": {},
        "objective": {},
    }
    return [item.problem for item in check_consistency(values)]


CLIPPED = "Lightning cannot clip a task with two optimizers"
UNSAVED = "no checkpoint is saved, so the weights of the last step are tested"


@pytest.mark.parametrize(
    ("task", "callback", "expected"),
    [
        ("user_classes.TwoPlayers", "user_classes.Saver", [CLIPPED]),
        ("user_classes.NotAdversarial", "user_classes.CheckpointSize", [UNSAVED]),
        ("trainer.task.adversarial.Adversarial", "trainer.callbacks.checkpoint.Checkpoint", [CLIPPED]),
    ],
)
def test_classes_are_recognized_by_inheritance(task, callback, expected):
    assert sorted(problems(task, callback)) == sorted(expected)
