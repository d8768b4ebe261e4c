"""Python API for notebooks and for the commands: compose a config, train, test, and load a trained network.

    import trainer

    config = trainer.configure("experiment=digits_cnn", "trainer.max_epochs=5")
    run = trainer.train(config)
    model = trainer.load(run.directory)
    model.predict(["a.png", "b.png"])

All functions raise `trainer.core.errors.UserError` for errors that the user can fix.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.config.compose import Composer
from trainer.config.diagnostics import raise_on_errors
from trainer.config.home_directory import expand_home
from trainer.config.hydra_errors import diagnose_hydra_error
from trainer.config.hydra_job import run_hydra_job
from trainer.config.schema import RESOURCE_DIR, ROOT_KEYS, register_hydra_plugins
from trainer.config.stored_config import adapt_to_machine, build_primary_config
from trainer.core.errors import UserError, format_user_message
from trainer.core.lazy_imports import lazy_imports
from trainer.core.rank import is_first_process

if TYPE_CHECKING:  # imports torch
    from trainer.inference.predictor import Predictor

TEST_CONFIG_NAME = "test_of_checkpoint"


@dataclass(frozen=True)
class Run:
    """Result of a finished run.

    Args:
        directory: Run directory.
        metrics: Final metrics by name, e.g. `test/accuracy`.
        checkpoint: Best checkpoint; None if no checkpoint was saved.
    """

    directory: Path
    metrics: dict[str, float | None]
    checkpoint: Path | None

    @classmethod
    def from_result(cls, directory: Path, result: dict[str, Any]) -> "Run":
        """Return the result of a run from the content of its `result.json`."""
        return cls(directory, result["metrics"], Path(result["checkpoint"]) if result["checkpoint"] else None)


def configure(*overrides: str) -> DictConfig:
    """Compose a config from overrides of a command line.

    Args:
        overrides: Overrides, e.g. `"experiment=mnist_cnn"`, `"trainer.max_epochs=3"`.

    Returns:
        A config whose values can be changed: `config.trainer.max_epochs = 3`. `config.hydra` is the config of Hydra;
        its `run.dir` is the run directory.

    Raises:
        UserError: An override contains an unknown key, an unknown option or an invalid value.
    """
    config = Composer().compose_checked(_validate_overrides("trainer.configure", overrides))
    OmegaConf.set_readonly(config.hydra, False)
    return config


def train(*config: DictConfig | str) -> Run:
    """Train and test with a config, and write a run directory as the command `trainer` does.

    Args:
        config: Result of `configure`, or overrides for it.

    Raises:
        UserError: The config is invalid, or the run fails with an error that the user can fix.
    """
    composed = next((value for value in config if isinstance(value, DictConfig)), None)
    if composed is None:
        return _run(configure(*_validate_overrides("trainer.train", config, "a config of trainer.configure, or ")))
    if len(config) > 1:
        raise UserError("trainer.train: cannot combine a config with other arguments; expected one config or overrides")
    if missing := [key for key in (*ROOT_KEYS, "hydra") if key not in composed]:
        raise UserError(
            f"trainer.train: the config has no {', '.join(missing)}; expected a config of trainer.configure"
        )
    return _run(composed.copy())


def test(path: str | Path, *overrides: str, trust: str = "") -> Run:  # noqa: PT028  not a pytest test
    """Test a checkpoint on the test split with its own config, in a new run directory.

    Args:
        path: Checkpoint, or run directory whose best checkpoint is tested.
        overrides: Changes of the config, e.g. `"data.dir=/datasets"`, `"trainer.accelerator=cpu"`.
        trust: Comma-separated packages whose code the checkpoint's config may use.

    Raises:
        UserError: The checkpoint does not exist or uses untrusted code, or its data are not available.
    """
    with lazy_imports():
        from trainer.inference.load_checkpoint import find_checkpoint, read_checkpoint
        from trainer.model.pretrained import skip_weight_loading

    _validate_overrides("trainer.test", overrides)
    file = find_checkpoint(_validate_path("trainer.test", path))
    content = read_checkpoint(file, trust)
    register_hydra_plugins()
    config = build_test_config(content["config"], content["provenance"]["run"], file)
    ConfigStore.instance().store(TEST_CONFIG_NAME, config)
    with skip_weight_loading():  # the checkpoint contains all weights
        return _run(_compose_config(TEST_CONFIG_NAME, overrides))


def load(path: str | Path, *, trust: str = "") -> "Predictor":
    """Load a trained network for predictions: `trainer.load("outputs/.../best.ckpt").predict(["a.png"])`.

    Args:
        path: Checkpoint, or run directory whose best checkpoint is loaded.
        trust: Comma-separated packages whose code the checkpoint's config may use.

    Raises:
        UserError: The checkpoint does not exist, is corrupted, or uses untrusted code.
    """
    with lazy_imports():
        from trainer.inference.load_checkpoint import load_checkpoint
        from trainer.inference.predictor import Predictor

    return Predictor(load_checkpoint(_validate_path("trainer.load", path), trusted=trust))


def _validate_overrides(function: str, overrides: tuple[Any, ...], alternative: str = "") -> tuple[str, ...]:
    for override in overrides:
        if not isinstance(override, str):
            expected = f"{alternative}overrides such as 'data=xor', 'optimizer.lr=0.1'"
            raise UserError(
                f"{function}: cannot use an argument of type {type(override).__name__}; expected {expected}"
            )
    return overrides


def _validate_path(function: str, path: Any) -> Path:
    if not isinstance(path, str | Path):
        expected = "the path of a checkpoint or of a run directory"
        raise UserError(f"{function}: cannot use an argument of type {type(path).__name__}; expected {expected}")
    return Path(path)


def build_test_config(config: dict[str, Any], run: str, file: Path) -> dict[str, Any]:
    """Return the config for testing a checkpoint.

    Args:
        config: Config of the run.
        run: Run directory; paths in it become paths in the directory of the test.
        file: Checkpoint.
    """
    settings = {"train": False, "test": True, "ckpt_path": str(file), "optimized_metric": None}
    return adapt_to_machine(build_primary_config(config, run)) | settings


def _compose_config(name: str, overrides: tuple[str, ...]) -> DictConfig:
    try:
        with _hydra_config_loader():
            return compose(name, [*overrides], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise_on_errors([diagnose_hydra_error(error, None, lambda group: [])])
        raise


def _run(config: DictConfig) -> Run:
    """Run a composed config as Hydra runs a command line."""
    with lazy_imports():
        from trainer.core.mappings import nonfinite_to_none
        from trainer.training.distributed.launch import join, leading

    if is_first_process():
        with leading():
            return _run_rank_zero(config)
    joined = join()
    if joined is None:
        raise UserError("the first process has started no run")
    directory, result = joined
    return Run.from_result(directory, {**result, "metrics": nonfinite_to_none(result["metrics"])})


def _run_rank_zero(config: DictConfig) -> Run:
    with lazy_imports():
        from trainer.training.run import run

    os.environ["TRAINER_RUN_SUFFIX"] = secrets.token_hex(3)
    expand_home(config)
    with _hydra_config_loader() as loader:
        job = run_hydra_job(run, config, loader)
        if isinstance(job._return_value, Exception):
            raise _as_user_error(job._return_value)
    assert job.hydra_cfg
    directory = Path(job.hydra_cfg.hydra.runtime.output_dir)
    return Run.from_result(directory, json.loads((directory / "result.json").read_text("utf-8")))


@contextmanager
def _hydra_config_loader() -> Iterator[Any]:
    """Initialize Hydra for the block and yield its config loader."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(RESOURCE_DIR / "conf"), version_base="1.3", job_name="trainer"):
        yield GlobalHydra.instance().config_loader()


def _as_user_error(error: Exception) -> Exception:
    text = format_user_message(error)
    return error if text is None or isinstance(error, UserError) else UserError(text)
