"""Tests of fingerprints, exclusive directories and atomic writes."""

from pathlib import Path

import pytest
from hydra.conf import HydraConf
from omegaconf import OmegaConf

from trainer.artifacts.exclusive_directory import create_exclusive_directory
from trainer.artifacts.run_directory import compute_fingerprint
from trainer.core.atomic_write import atomic_write_text
from trainer.core.rank import is_first_process

CONFIG = {
    "seed": 1,
    "trainer": {},
    "task_name": "a",
    "outputs": "outputs",
    "optimizer": {"lr": 0.1},
    "data": {"dir": "a", "batch_size": 4},
    "callbacks": {
        "checkpoint": {"dirpath": "/runs/one/checkpoints", "monitor": "val/loss"},
        "progress": {"_target_": "trainer.callbacks.progress.Progress"},
    },
}
RUN = Path("/runs/one")


@pytest.mark.parametrize(
    "change",
    [
        {"task_name": "b"},
        {"outputs": "b"},
        {"data": {"dir": "b"}},
        {"callbacks": {"progress": {"x": 1}}},
        {"callbacks": {"any_name": {"_target_": "trainer.callbacks.histograms.Histograms", "every_n_epochs": 9}}},
        {"callbacks": {"bar": {"_target_": "pytorch_lightning.callbacks.RichProgressBar", "refresh_rate": 9}}},
        {"trainer": {"profiler": "simple"}},
    ],
)
def test_settings_that_cannot_change_metrics_are_not_in_the_fingerprint(change):
    changed = OmegaConf.to_container(OmegaConf.merge(CONFIG, change))
    assert compute_fingerprint(changed, RUN) == compute_fingerprint(CONFIG, RUN)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"optimizer": {"lr": 0.2}},
        {"data": {"batch_size": 8}},
        {"callbacks": {"progress": {"_target_": "trainer.callbacks.gradient_clipping.GradientClipping"}}},
        {"callbacks": {"pruning": {"_target_": "pytorch_lightning.callbacks.ModelPruning"}}},
    ],
)
def test_settings_that_can_change_metrics_are_in_the_fingerprint(change):
    changed = OmegaConf.to_container(OmegaConf.merge(CONFIG, change))
    assert compute_fingerprint(changed, RUN) != compute_fingerprint(CONFIG, RUN)


def test_the_run_directory_is_not_in_the_fingerprint():
    moved = OmegaConf.to_container(
        OmegaConf.merge(CONFIG, {"callbacks": {"checkpoint": {"dirpath": "/runs/two/checkpoints"}}})
    )
    assert compute_fingerprint(moved, Path("/runs/two")) == compute_fingerprint(CONFIG, RUN)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"SLURM_PROCID": "3"}, False),
        ({"NODE_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, False),
        ({"NODE_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, True),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, False),
        ({"NODE_RANK": "1"}, True),
    ],
)
def test_the_first_process_is_detected(variables, first, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first


def test_an_empty_directory_is_accepted_and_a_used_one_refused(tmp_path):
    config = OmegaConf.create({"hydra": OmegaConf.structured(HydraConf)})
    config.hydra.run.dir = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    create_exclusive_directory(config, "hydra.run.dir")
    (tmp_path / "run/result.json").touch()
    with pytest.raises(SystemExit, match="is not empty; expected a new or empty directory"):
        create_exclusive_directory(config, "hydra.run.dir")


def test_an_atomic_write_leaves_no_partial_file(tmp_path):
    atomic_write_text(tmp_path / "a.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "new"
