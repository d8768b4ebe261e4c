"""The config of a run is composed once, and is what Hydra composes by itself."""

import shutil
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from trainer import cli, once

RUN = ["data=xor", "model=mlp", "hydra.run.dir=run"]


@pytest.fixture
def composed(monkeypatch):
    """The words of each composition."""
    words, load = [], ConfigLoaderImpl.load_configuration

    def noting(self, config_name, overrides, *more, **named):
        words.append([*overrides])
        return load(self, config_name, overrides, *more, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", noting)
    return words


@pytest.fixture
def jobs(monkeypatch):
    """The configs that jobs have got, whole."""
    found = []

    def job(given):
        whole = HydraConfig.instance().cfg
        flags = [OmegaConf.is_readonly(whole), OmegaConf.is_struct(whole), OmegaConf.is_struct(given)]
        found.append((OmegaConf.to_yaml(given), OmegaConf.to_yaml(whole), flags))

    monkeypatch.setattr(cli, "job", job)
    monkeypatch.setenv("TRAINER_RUN_SUFFIX", "same")
    monkeypatch.setenv("LOCAL_RANK", "0")  # which leaves the suffix as it is
    return found


def as_ever(monkeypatch):
    """Let Hydra compose by itself from now on."""
    monkeypatch.setattr(once, "compose_once", lambda: None)
    monkeypatch.setattr(once.of_hydra, "Hydra", once.Once.__base__)


@pytest.mark.parametrize("more", [[], ["hydra.mode=RUN"], ["seed=3", "tags=[a]"]])
def test_a_run_is_composed_once_to_what_hydra_makes_of_it(more, command, composed, jobs, monkeypatch):
    assert command(*RUN, *more).code == 0
    assert len(composed) == 1
    shutil.rmtree("run")
    as_ever(monkeypatch)
    assert command(*RUN, *more).code == 0
    assert len(composed) == 3
    assert jobs[0] == jobs[1]


@pytest.mark.parametrize("more", [[], ["hydra.mode=MULTIRUN"], ["hydra.sweeper.params={seed: '1,2'}"]])
def test_so_is_a_sweep(more, command, composed, jobs, monkeypatch):
    sweep = ["-m", *RUN[:2], "hydra.sweep.dir=sweep", "trainer.max_epochs=1,2", *more]
    assert command(*sweep).code == 0
    ours, once_composed = Path("sweep/multirun.yaml").read_text(), len(composed)
    shutil.rmtree("sweep")
    composed.clear()
    as_ever(monkeypatch)
    assert command(*sweep).code == 0
    assert len(composed) == once_composed + 1
    assert Path("sweep/multirun.yaml").read_text() == ours
    assert jobs[: len(jobs) // 2] == jobs[len(jobs) // 2 :]


def test_a_mode_that_a_config_names_is_heeded(command, jobs):
    outcome = command(*RUN[:2], "hydra.mode=MULTIRUN", "hydra.sweep.dir=sweep", "seed=1,2", "trainer.max_epochs=1")
    assert outcome.code == 0, outcome.err
    assert [f"\nseed: {seed}\n" in job[0] for seed, job in zip((1, 2), jobs, strict=True)] == [True, True]
    assert (outcome.directory / "sweep/multirun.yaml").is_file()


def test_a_mistake_is_told_as_ever(command):
    outcome = command("data=xor", "model=nope")
    assert outcome.code == 1
    assert outcome.err.startswith("error: model: there is no 'model/nope'")
