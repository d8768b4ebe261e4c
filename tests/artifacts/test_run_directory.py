"""Fingerprints, claims and whole files."""

from pathlib import Path

import pytest
from hydra.conf import HydraConf
from omegaconf import OmegaConf

from trainer.artifacts.exclusive_directory import claim
from trainer.artifacts.run_directory import fingerprint, write
from trainer.core.rank import is_first_process

CONFIG = {
    "seed": 1,
    "trainer": {},
    "task_name": "a",
    "outputs": "outputs",
    "optimizer": {"lr": 0.1},
    "data": {"dir": "here", "batch_size": 4},
    "callbacks": {
        "checkpoint": {"dirpath": "/runs/one/checkpoints", "monitor": "val/loss"},
        "progress": {"_target_": "trainer.callbacks.progress.TrainingProgress"},
    },
}
RUN = Path("/runs/one")


@pytest.mark.parametrize(
    "change",
    [
        {"task_name": "b"},
        {"outputs": "elsewhere"},
        {"data": {"dir": "there"}},
        {"callbacks": {"progress": {"x": 1}}},
        {"callbacks": {"any_name": {"_target_": "trainer.callbacks.histograms.Histograms", "every_epochs": 9}}},
        {"callbacks": {"bar": {"_target_": "pytorch_lightning.callbacks.RichProgressBar", "refresh_rate": 9}}},
        {"trainer": {"profiler": "simple"}},
    ],
)
def test_what_cannot_change_the_numbers_is_no_part_of_the_fingerprint(change):
    changed = OmegaConf.to_container(OmegaConf.merge(CONFIG, change))
    assert fingerprint(changed, RUN) == fingerprint(CONFIG, RUN)


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
def test_what_can_change_the_numbers_changes_the_fingerprint(change):
    changed = OmegaConf.to_container(OmegaConf.merge(CONFIG, change))
    assert fingerprint(changed, RUN) != fingerprint(CONFIG, RUN)


def test_the_run_directory_is_no_part_of_the_fingerprint():
    moved = OmegaConf.to_container(
        OmegaConf.merge(CONFIG, {"callbacks": {"checkpoint": {"dirpath": "/runs/two/checkpoints"}}})
    )
    assert fingerprint(moved, Path("/runs/two")) == fingerprint(CONFIG, RUN)


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
def test_one_process_of_a_run_owns_its_directory(variables, first, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first


def test_an_empty_directory_may_be_claimed_and_a_used_one_not(tmp_path):
    config = OmegaConf.create({"hydra": OmegaConf.structured(HydraConf)})
    config.hydra.run.dir = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    claim(config, "hydra.run.dir")
    (tmp_path / "run/result.json").touch()
    with pytest.raises(SystemExit, match="is not empty, and may hold another run"):
        claim(config, "hydra.run.dir")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write(tmp_path / "a.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "new"
