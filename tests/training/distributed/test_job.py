"""The job of a run: each process gets the values, paths and settings of the one that has composed the config."""

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
from trainer.model.pretrained import are_given_later, weights_given_later
from trainer.training.distributed.job import Job

VALUES = {
    "name": "a ${literal} text",
    "path": "C:\\${not_a_reference}",
    "rate": 1e-3,
    "nothing": None,
    "nested": {1: ["${x}", True, float("inf")], "list": []},
}


def noted(config, directory):
    """What a job is called with, and what is true meanwhile."""
    plain = OmegaConf.to_container(config, resolve=True)
    return {"config": plain, "path": directory.path, "later": are_given_later(), "output": HydraConfig.get().run.dir}


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    hydra = OmegaConf.structured(HydraConf(mode=None))
    hydra.run.dir = "some/where"
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    HydraConfig.instance().set_config(OmegaConf.create({"hydra": hydra}))
    made = RunDirectory(tmp_path / "run")
    made.config = VALUES
    return made


def test_a_job_that_was_pickled_has_the_same_values_and_the_same_places(directory, tmp_path):
    with weights_given_later():
        content = pickle.dumps(Job.of(noted, directory, World(2, 2)))
    HydraConfig.instance().cfg = None
    os.chdir("/")
    job = pickle.loads(content)
    job.prepare()
    assert Path.cwd() == tmp_path
    assert job.execute() == {"config": VALUES, "path": tmp_path / "run", "later": True, "output": "some/where"}
    assert not are_given_later()
