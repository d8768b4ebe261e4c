"""Pickled jobs, which have the values, paths and settings of the process that has composed the config."""

import os
import pickle
import sys
from pathlib import Path

import pytest
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from trainer.artifacts.run_directory import RunDirectory
from trainer.core.rank import World
from trainer.model.pretrained import is_weight_loading_skipped, skip_weight_loading
from trainer.training.distributed.job import Job

VALUES = {
    "name": "a ${literal} text",
    "path": "C:\\${not_a_reference}",
    "rate": 1e-3,
    "nothing": None,
    "nested": {1: ["${x}", True, float("inf")], "list": []},
}


def capture_arguments(config, directory):
    """Return the arguments of a job, and the state of its process."""
    values = OmegaConf.to_container(config, resolve=True)
    return {
        "config": values,
        "path": directory.path,
        "skips_weight_loading": is_weight_loading_skipped(),
        "output": HydraConfig.get().run.dir,
    }


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    hydra = OmegaConf.structured(HydraConf(mode=None))
    hydra.run.dir = "some/where"
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    HydraConfig.instance().set_config(OmegaConf.create({"hydra": hydra}))
    directory = RunDirectory(tmp_path / "run")
    directory.config = VALUES
    return directory


def test_a_pickled_job_has_the_same_values_and_paths(directory, tmp_path):
    with skip_weight_loading():
        content = pickle.dumps(Job.of(capture_arguments, directory, World(2, 2)))
    HydraConfig.instance().cfg = None
    os.chdir("/")
    job = pickle.loads(content)
    job.prepare()
    assert Path.cwd() == tmp_path
    assert job.execute() == {
        "config": VALUES,
        "path": tmp_path / "run",
        "skips_weight_loading": True,
        "output": "some/where",
    }
    assert not is_weight_loading_skipped()
