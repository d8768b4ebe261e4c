"""Functions of the Python API that start runs, as the command `trainer` does."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from trainer.api.arguments import EXPECTED_OVERRIDES, validate_overrides, validate_path
from trainer.api.run import Run
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

EXPECTED_CONFIG = f"a config of trainer.configure, or {EXPECTED_OVERRIDES}"
TEST_CONFIG_NAME = "test_of_checkpoint"


def configure(*overrides: str) -> DictConfig:
    """Compose a config from overrides of a command line.

        config = trainer.configure("data=digits", "model=cnn")
        config.optimizer.lr = 0.01

    Args:
        overrides: Overrides, e.g. `"experiment=mnist_cnn"`, `"trainer.max_epochs=3"`.

    Returns:
        A config whose values can be changed: `config.trainer.max_epochs = 3`. `config.hydra` is the config of Hydra;
        its `run.dir` is the run directory.

    Raises:
        UserError: An override contains an unknown key, an unknown option or an invalid value.
    """
    config = Composer().compose_checked(validate_overrides("trainer.configure", overrides))
    OmegaConf.set_readonly(config.hydra, False)
    return config


def train(*config: DictConfig | str) -> Run:
    """Train and test with a config, and write a run directory as the command `trainer` does.

        run = trainer.train("data=digits", "model=cnn", "trainer.max_epochs=5")
        run.metrics["test/accuracy"]

    Args:
        config: Result of `configure`, or overrides for it.

    Raises:
        UserError: The config is invalid, or the run fails with an error that the user can fix.
    """
    composed = next((value for value in config if isinstance(value, DictConfig)), None)
    if composed is None:
        return _run(configure(*validate_overrides("trainer.train", config, EXPECTED_CONFIG)))
    if len(config) > 1:
        raise UserError("trainer.train: cannot combine a config with other arguments; expected one config or overrides")
    if missing := [key for key in (*ROOT_KEYS, "hydra") if key not in composed]:
        raise UserError(
            f"trainer.train: the config has no {', '.join(missing)}; expected a config of trainer.configure"
        )
    return _run(composed.copy())


def test(path: str | Path, *overrides: str, trust: str = "") -> Run:  # noqa: PT028  not a pytest test
    """Test a checkpoint on the test split with its own config, in a new run directory.

        trainer.test("outputs/digits_cnn/2026-01-31_12-00-00_a1b2c3").metrics

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

    validate_overrides("trainer.test", overrides)
    file = find_checkpoint(validate_path("trainer.test", path))
    content = read_checkpoint(file, trust)
    register_hydra_plugins()
    config = build_test_config(content["config"], content["provenance"]["run"], file)
    ConfigStore.instance().store(TEST_CONFIG_NAME, config)
    with skip_weight_loading():  # the checkpoint contains all weights
        return _run(_compose_config(TEST_CONFIG_NAME, overrides))


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
    return Run(directory, {**result, "metrics": nonfinite_to_none(result["metrics"])})


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
    return Run(job.hydra_cfg.hydra.runtime.output_dir)


@contextmanager
def _hydra_config_loader() -> Iterator[Any]:
    """Initialize Hydra for the block and yield its config loader."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(RESOURCE_DIR / "conf"), version_base="1.3", job_name="trainer"):
        yield GlobalHydra.instance().config_loader()


def _as_user_error(error: Exception) -> Exception:
    text = format_user_message(error)
    return error if text is None or isinstance(error, UserError) else UserError(text)
