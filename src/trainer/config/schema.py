"""Root keys and types of the config, and the directories that Hydra searches. Imports no torch.

`conf/` contains one directory per group (`model=cnn` is `conf/model/cnn.yaml`), `experiments/` one file per experiment
(`experiment=mnist_cnn` is `experiments/mnist_cnn.yaml`). Packaged files take precedence over those in `conf/` and
`experiments/` of the working directory.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import MISSING, DictConfig, OmegaConf

_PACKAGE_DIR = Path(__file__).resolve().parents[1]
# an installed wheel contains both directories in trainer/_data, a checkout in its root
RESOURCE_DIR = _PACKAGE_DIR / "_data" if (_PACKAGE_DIR / "_data").is_dir() else _PACKAGE_DIR.parents[1]
YAML_PATTERN = "[!.]*.yaml"  # without hidden copies of macOS and editors, such as ._cnn.yaml
# arguments that a run passes to the LightningModule of `model` by name, each if its constructor requires it
MODULE_PARTS = {
    "net": "The network; with `_partial_: true` it receives the data's spec.",
    "objective": "Loss and metrics. Defaults to the group `objective`.",
    "optimizer": "Factory of the optimizer. Defaults to the group `optimizer`.",
    "scheduler": "Factory of the schedule. Defaults to the group `scheduler`.",
    "spec": "Sizes of the data.",
}
DATASETS_TARGET = "trainer.data.datasets.Datasets"  # of a node `data` without `_target_`
GROUPS_TARGET = "trainer.task.parameter_groups.ParameterGroups"  # its arguments are keys of `optimizer`
MONITOR_KEY = "monitor"  # key of `model` that is no argument of the LightningModule
MONITOR_DESCRIPTION = "The metric that determines the best epoch; null: keep the last one."


@dataclass
class SweepConfig:
    """Settings of `--multirun`: creation and execution of jobs; no job depends on them."""

    seeds: int | None = None
    folds: int | None = None
    random_samples: int | None = None
    sample_seed: int = 1
    zip: list[Any] = field(default_factory=list)
    grids: list[str] = field(default_factory=list)
    workers: int | None = None
    jobs_per_gpu: int | None = None
    fuse: Any = "auto"
    n_trials: int | None = None
    sampler: Any = "tpe"
    pruner: Any = "none"
    retries: int = 0
    fail_fast: bool = False
    direction: Any = None


@dataclass
class PreflightConfig:
    """Settings of the check before a run."""

    step: bool = True


@dataclass
class Config:
    """Root keys of a config; others are refused.

    The default values are set in `conf/config.yaml`, each with a comment.
    """

    task_name: str = MISSING
    tags: list[str] = field(default_factory=list)
    seed: int = MISSING
    train: bool = True
    test: bool = True
    ckpt_path: str | None = None
    resume: str | None = None
    accept_changes: bool = False
    compile: bool = False
    optimized_metric: Any = None
    outputs: str = MISSING
    preflight: PreflightConfig = field(default_factory=PreflightConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    data: Any = MISSING
    model: Any = MISSING
    objective: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    callbacks: dict[str, Any] | None = field(default_factory=dict)
    logger: dict[str, Any] | None = field(default_factory=dict)
    trainer: Any = MISSING


ROOT_KEYS = [key.name for key in fields(Config)]


class ExperimentSource(ConfigSource):
    """Config source that provides the YAML files of a directory as choices of the group `experiment`.

    Each file may change any key (Hydra's package `_global_`); its name is the default of `task_name`.
    """

    @staticmethod
    def scheme() -> str:
        return "experiments"

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", "experiment")

    def is_config(self, config_path: str) -> bool:
        return self._file(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path == "":
            return [] if results_filter == ObjectType.CONFIG else ["experiment"]
        if config_path != "experiment" or results_filter == ObjectType.GROUP:
            return []
        return sorted(path.stem for path in Path(self.path).glob(YAML_PATTERN))

    def load_config(self, config_path: str) -> ConfigResult:
        file = self._file(config_path)
        if not file.is_file():
            raise ConfigLoadError(f"Config not found : {file}")
        config = OmegaConf.load(file)
        if isinstance(config, DictConfig):
            config.setdefault("task_name", file.stem)
        return ConfigResult(self.provider, self.full_path(), config, {"package": "_global_"})

    def _file(self, config_path: str) -> Path:
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return Path(self.path) / (f"{name}.yaml" if group == "experiment" else "nonexistent")


class TrainerSearchPath(SearchPathPlugin):
    """Hydra plugin that adds the packaged experiments and the working directory to the search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("trainer", f"experiments://{RESOURCE_DIR / 'experiments'}")
        for directory in find_user_config_dirs():
            scheme = "experiments" if directory.name == "experiments" else "file"
            search_path.append("working directory", f"{scheme}://{directory}")


def find_user_config_dirs() -> list[Path]:
    """Return `conf` and `experiments` of the working directory if they exist and are not the packaged ones."""
    directories = [Path.cwd() / "conf", Path.cwd() / "experiments"]
    return [directory for directory in directories if directory.is_dir() and directory.parent != RESOURCE_DIR]


def find_shadowed_files() -> list[Path]:
    """Return the user's YAML files that Hydra ignores because a packaged file has the same name."""
    return [
        file
        for directory in find_user_config_dirs()
        for file in list_config_files(directory)
        if (RESOURCE_DIR / directory.name / file.relative_to(directory)).is_file()
    ]


def list_config_files(directory: Path) -> list[Path]:
    """Return the YAML files of a `conf` or `experiments` directory, sorted."""
    return sorted(directory.glob(YAML_PATTERN if directory.name == "experiments" else f"[!.]*/{YAML_PATTERN}"))


def find_targets(config: Any, *, with_paths: bool = False) -> list[str]:
    """Return the values of every `_target_` in a config or a part of it; interpolations are not resolved.

    Args:
        config: Config, or plain containers.
        with_paths: Whether to return also the objects that functions such as `hydra.utils.get_method` look up by the
            argument `path`. Defaults to False.
    """
    if OmegaConf.is_config(config):
        config = OmegaConf.to_container(config)
    children = [*config.values()] if isinstance(config, dict) else config if isinstance(config, list) else []
    targets = [config.get("_target_")] if isinstance(config, dict) else []
    if with_paths and targets and str(targets[0]).startswith("hydra.utils."):
        targets.append(config.get("path"))
    nested = [name for child in children for name in find_targets(child, with_paths=with_paths)]
    return [*(target for target in targets if isinstance(target, str)), *nested]


def register_hydra_plugins() -> None:
    """Register schema, sources and sweeper with Hydra; must be called before `hydra.main` or `hydra.compose`."""
    from trainer.config.hydra_multirun import patch_hydra  # imports parts of Hydra that other commands do not need
    from trainer.config.override_quoting import patch_override_parser

    for plugin in (ExperimentSource, TrainerSearchPath):
        Plugins.instance().register(plugin)
    store = ConfigStore.instance()
    store.store("schema", Config)
    # replaces Hydra's own, which the line above has loaded: the same grammar, with a ledger
    sweeper = {"_target_": "hydra_plugins.trainer_sweeper.LedgerSweeper", "max_batch_size": None, "params": None}
    store.store("basic", sweeper, "hydra/sweeper")
    patch_hydra()
    patch_override_parser()
