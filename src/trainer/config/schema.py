"""Where the config comes from: the root's keys and types, and the folders that Hydra searches.

`conf/` holds one folder a choice (`model=cnn` is `conf/model/cnn.yaml`), `experiments/` whole recipes
(`experiment=mnist_cnn` is `experiments/mnist_cnn.yaml`). The packaged ones come first; a `conf/` or an
`experiments/` in the working directory joins in behind them. This module imports no torch.
"""

import re
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

_PACKAGE = Path(__file__).resolve().parents[1]
# an installed wheel carries both folders in trainer/_data; a checkout has them at its top
HOME = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _PACKAGE.parents[1]
YAML_FILES = "[!.]*.yaml"  # macOS and editors leave hidden copies: ._cnn.yaml
# the keys of `model`, which is no dataclass: networks and tasks are anybody's
OF_MODEL = {
    "task": "The training procedure.",
    "net": "The network.",
    "monitor": "The metric that says which epoch is best; null: keep the last one.",
}


@dataclass
class Sweep:
    """How `--multirun` makes jobs of its words and runs them; no job depends on it."""

    seeds: int | None = None
    samples: int | None = None
    sample_seed: int = 1
    zip: list[Any] = field(default_factory=list)
    grids: list[str] = field(default_factory=list)
    workers: int | None = None
    jobs_per_gpu: int | None = None
    trials: int | None = None
    sampler: Any = "tpe"
    pruner: Any = "none"
    retries: int = 0
    fail_fast: bool = False
    direction: Any = None


@dataclass
class Config:
    """Every key at the top of a config; one that is not here is refused, wherever it was written.

    The values a run starts from stand in `conf/config.yaml`, with a comment each.
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
    sweep: Sweep = field(default_factory=Sweep)
    data: Any = MISSING
    model: Any = MISSING
    objective: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    callbacks: dict[str, Any] | None = field(default_factory=dict)
    logger: dict[str, Any] | None = field(default_factory=dict)
    trainer: Any = MISSING


KEYS = [each.name for each in fields(Config)]


class ExperimentSource(ConfigSource):
    """Serves the YAML files of a folder as the choices of the group `experiment`.

    Each file may change any key (Hydra's package `_global_`), and its name becomes `task_name`.
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
        return sorted(path.stem for path in Path(self.path).glob(YAML_FILES))

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
        return Path(self.path) / (f"{name}.yaml" if group == "experiment" else "none/of/ours")


class TrainerSearchPath(SearchPathPlugin):
    """Adds the packaged experiments, and what the working directory holds, to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("trainer", f"experiments://{HOME / 'experiments'}")
        for folder in user_folders():
            scheme = "experiments" if folder.name == "experiments" else "file"
            search_path.append("working directory", f"{scheme}://{folder}")


def user_folders() -> list[Path]:
    """`conf` and `experiments` of the working directory, where they are and are not our own."""
    folders = [Path.cwd() / "conf", Path.cwd() / "experiments"]
    return [folder for folder in folders if folder.is_dir() and folder.parent != HOME]


def shadowed() -> list[Path]:
    """The user's YAML files that Hydra will not read, because a packaged one of the same name comes first."""
    return [
        file
        for folder in user_folders()
        for file in sorted(folder.glob(YAML_FILES if folder.name == "experiments" else f"[!.]*/{YAML_FILES}"))
        if (HOME / folder.name / file.relative_to(folder)).is_file()
    ]


def named_in(config: DictConfig) -> list[str]:
    """Dotted names of all that a config, or a part of it, has built."""
    return re.findall(r"_target_: *(\S+)", OmegaConf.to_yaml(config))


def register() -> None:
    """Make all this known to Hydra; call it before `hydra.main` or `hydra.compose`."""
    from trainer.config.hydra_multirun import install  # parts of Hydra that other commands do not need

    for plugin in (ExperimentSource, TrainerSearchPath):
        Plugins.instance().register(plugin)
    store = ConfigStore.instance()
    store.store("schema", Config)
    # in the place of Hydra's own, which the line above has read: the same grammar, with a ledger
    sweeper = {"_target_": "hydra_plugins.trainer_sweeper.LedgerSweeper", "max_batch_size": None, "params": None}
    store.store("basic", sweeper, "hydra/sweeper")
    install()
