"""The loader of a sweep's jobs gives the configs that Hydra's own gives."""

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict, read_write

from trainer.config.compose import Composer
from trainer.config.schema import HOME, register
from trainer.sweep.cached_config_loader import SweepLoader

OF_HYDRA = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=s", "hydra.job.env_copy=[HOME]"]
OF_HYDRA += ["hydra.job.config.override_dirname.kv_sep=:"]
JOBS = {
    "values": ["seed=2", "optimizer.lr=0.1", "model.net.hidden=[4, 5]"],
    "other values": ["seed=3", "optimizer.lr=0.2", "+extra.note='a b'", "~model.net.dropout"],
    "choices": ["model=cnn", "data=digits", "seed=3", "optimizer=sgd", "callbacks=[default,early_stopping]"],
    "a recipe": ["experiment=digits_cnn", "trainer.max_epochs=2", "++optimizer.lr=0.3"],
    "a value of Hydra's": ["seed=4", "hydra.job.name=mine", "hydra.sweep.subdir=7"],
}


@pytest.fixture
def loaders():
    register()
    setup_globals()
    JobRuntime.instance().set("name", "trainer")
    hydra = ConfigLoaderImpl(create_config_search_path(str(HOME / "conf")))
    return hydra, SweepLoader(hydra, Composer())


def as_launched(config):
    """With what Hydra's launchers set, whatever stands there."""
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.job.update(num=3, id="3")
        config.hydra.runtime.output_dir = "here"
    return OmegaConf.to_yaml(config)


def test_configs_are_those_of_hydra(loaders):
    hydra, ours = loaders
    whole = hydra.load_configuration("config", ["data=xor", "seed=1,2", *OF_HYDRA], RunMode.MULTIRUN)
    jobs = [[*words, "hydra.sweep.subdir=0"] for words in JOBS.values()]
    expected = [hydra.load_sweep_config(whole, job) for job in jobs]
    for _ in range(2):  # the second time with what was kept of the first
        for job, config in zip(jobs, expected, strict=True):
            made = ours.load_sweep_config(whole, job)
            assert as_launched(made) == as_launched(config)
            assert made.hydra._get_flag("struct") == config.hydra._get_flag("struct")
            assert made._get_flag("struct")


def test_a_set_of_choices_is_composed_once(loaders, monkeypatch):
    hydra, ours = loaders
    whole = hydra.load_configuration("config", ["seed=1,2"], RunMode.MULTIRUN)
    composed, load = [], ConfigLoaderImpl.load_configuration

    def counted(self, name, overrides, *more):
        composed.append(overrides)
        return load(self, name, overrides, *more)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    for model in ("mlp", "linear"):
        for seed in range(3):
            config = ours.load_sweep_config(whole, [f"seed={seed}", f"model={model}"])
            assert config.seed == seed
    assert composed == [["model=mlp"], ["model=linear"]]
