"""The cached config loader returns the same configs as that of Hydra."""

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import JobRuntime, setup_globals
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict, read_write

from trainer.config.compose import Composer
from trainer.config.schema import RESOURCE_DIR, register_hydra_plugins
from trainer.sweeps.cached_config_loader import CachedConfigLoader

HYDRA_OVERRIDES = ["hydra.mode=MULTIRUN", "hydra.sweep.dir=s", "hydra.job.env_copy=[HOME]"]
HYDRA_OVERRIDES += ["hydra.job.config.override_dirname.kv_sep=:"]
JOBS = {
    "values": ["seed=2", "optimizer.lr=0.1", "model.net.hidden=[4, 5]"],
    "other values": ["seed=3", "optimizer.lr=0.2", "+extra.note='a b'", "~model.net.dropout"],
    "choices": ["model=cnn", "data=digits", "seed=3", "optimizer=sgd", "callbacks=[default,early_stopping]"],
    "an experiment": ["experiment=digits_cnn", "trainer.max_epochs=2", "++optimizer.lr=0.3"],
    "a setting of Hydra": ["seed=4", "hydra.job.name=mine", "hydra.sweep.subdir=7"],
}


@pytest.fixture
def loaders():
    register_hydra_plugins()
    setup_globals()
    JobRuntime.instance().set("name", "trainer")
    hydra = ConfigLoaderImpl(create_config_search_path(str(RESOURCE_DIR / "conf")))
    return hydra, CachedConfigLoader(hydra, Composer())


def as_launched(config):
    """Return the config as YAML, with the values that Hydra's launchers set."""
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.job.update(num=3, id="3")
        config.hydra.runtime.output_dir = "here"
    return OmegaConf.to_yaml(config)


@pytest.mark.slow
def test_the_configs_are_those_of_hydra(loaders):
    hydra, cached = loaders
    sweep_config = hydra.load_configuration("config", ["data=xor", "seed=1,2", *HYDRA_OVERRIDES], RunMode.MULTIRUN)
    jobs = [[*overrides, "hydra.sweep.subdir=0"] for overrides in JOBS.values()]
    expected = [hydra.load_sweep_config(sweep_config, job) for job in jobs]
    for _ in range(2):  # the second time from the cache
        for job, config in zip(jobs, expected, strict=True):
            cached_config = cached.load_sweep_config(sweep_config, job)
            assert as_launched(cached_config) == as_launched(config)
            assert cached_config.hydra._get_flag("struct") == config.hydra._get_flag("struct")
            assert cached_config._get_flag("struct")


def test_a_set_of_choices_is_composed_once(loaders, monkeypatch):
    hydra, cached = loaders
    sweep_config = hydra.load_configuration("config", ["seed=1,2"], RunMode.MULTIRUN)
    composed, load = [], ConfigLoaderImpl.load_configuration

    def count(self, name, overrides, *args):
        composed.append(overrides)
        return load(self, name, overrides, *args)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", count)
    for model in ("mlp", "linear"):
        for seed in range(3):
            config = cached.load_sweep_config(sweep_config, [f"seed={seed}", f"model={model}"])
            assert config.seed == seed
    assert composed == [["model=mlp"], ["model=linear"]]
