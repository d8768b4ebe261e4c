"""The Python API, for notebooks and for the commands: compose a config, train, test, and load what was trained.

    import trainer

    config = trainer.configure("experiment=digits_cnn", "trainer.max_epochs=5")
    run = trainer.train(config)
    model = trainer.load(run.directory)
    model.predict(["a.png", "b.png"])

All of it raises `trainer.core.errors.UserError` for what the user can mend.
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
from hydra.core.utils import run_job
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from trainer.config.compose import Composer
from trainer.config.diagnostics import refuse
from trainer.config.hydra_errors import mistake_in
from trainer.config.schema import HOME, KEYS, register
from trainer.config.stored_config import primary_config
from trainer.core.errors import UserError, user_message
from trainer.core.lazy_imports import late_imports
from trainer.core.rank import is_first_process

if TYPE_CHECKING:  # they import torch
    from trainer.inference.predictor import Predictor


@dataclass(frozen=True)
class Run:
    """A run that is over.

    Args:
        directory: With all that it left behind.
        metrics: By name, e.g. `test/accuracy`.
        checkpoint: The best one; None where none was kept.
    """

    directory: Path
    metrics: dict[str, float | None]
    checkpoint: Path | None


def configure(*words: str) -> DictConfig:
    """The config that these words of a command line make.

    Args:
        words: E.g. `"experiment=mnist_cnn"`, `"trainer.max_epochs=3"`.

    Returns:
        A config whose values may be changed: `config.trainer.max_epochs = 3`. `config.hydra` is Hydra's own part, where
        `config.hydra.run.dir` names the run directory.

    Raises:
        UserError: A word names no key, no choice or no value.
    """
    config = Composer().config_of(_checked_words("trainer.configure", words))
    OmegaConf.set_readonly(config.hydra, False)
    return config


def train(*config: DictConfig | str) -> Run:
    """Train and test as a config says, and leave a run directory behind, as the command `trainer` does.

    Args:
        config: What `configure` returned; or the words for it.

    Raises:
        UserError: Something in it cannot be.
    """
    given = [each for each in config if isinstance(each, DictConfig)]
    if not given:
        return _run(configure(*_checked_words("trainer.train", config, "a config of trainer.configure, or ")))
    if len(config) > 1:
        raise UserError("trainer.train takes a config or the words for one, not both")
    if missing := [key for key in (*KEYS, "hydra") if key not in given[0]]:
        raise UserError(
            f"trainer.train: the config has no {', '.join(missing)}; expected one that trainer.configure returned"
        )
    return _run(given[0].copy())


def test(path: str | Path, *words: str, trust: str = "") -> Run:  # noqa: PT028  no test of pytest's
    """Test a checkpoint by its own config, on the test split of its data, in a run directory of its own.

    Args:
        path: A checkpoint; or a run directory, whose best checkpoint is taken.
        words: Values that are others here: `"data.dir=/elsewhere"`, `"trainer.accelerator=cpu"`.
        trust: Packages, with commas between them, whose code the checkpoint's config may name.

    Raises:
        UserError: There is no such checkpoint, it names code that is not trusted, or its data are not at hand.
    """
    with late_imports():
        from trainer.inference.load_checkpoint import checkpoint_file, read_checkpoint
        from trainer.model.pretrained import weights_given_later

    _checked_words("trainer.test", words)
    file = checkpoint_file(_checked_path("trainer.test", path))
    content = read_checkpoint(file, trust)
    register()
    ConfigStore.instance().store(
        "of_a_checkpoint", config_of_test(content["config"], content["provenance"]["run"], file)
    )
    with weights_given_later():  # all are in the checkpoint
        return _run(_composed("of_a_checkpoint", words))


def load(path: str | Path, *, trust: str = "") -> "Predictor":
    """A trained network that reads files: `trainer.load("outputs/.../best.ckpt").predict(["a.png"])`.

    Args:
        path: A checkpoint; or a run directory, whose best checkpoint is taken.
        trust: Packages, with commas between them, whose code the checkpoint's config may name.

    Raises:
        UserError: There is no such checkpoint, it is damaged, or names code that is not trusted.
    """
    with late_imports():
        from trainer.inference.load_checkpoint import restore
        from trainer.inference.predictor import Predictor

    return Predictor(restore(_checked_path("trainer.load", path), trusted=trust))


def _checked_words(function: str, words: tuple[Any, ...], instead: str = "") -> tuple[str, ...]:
    """Return the words; raise a `UserError` if one is no text, as it would have no effect."""
    for word in words:
        if not isinstance(word, str):
            wanted = f"{instead}words of a command line, such as 'data=xor', 'optimizer.lr=0.1'"
            raise UserError(f"{function}: cannot use an argument of type {type(word).__name__}; expected {wanted}")
    return words


def _checked_path(function: str, path: Any) -> Path:
    if not isinstance(path, str | Path):
        wanted = "the path of a checkpoint or of a run directory"
        raise UserError(f"{function}: cannot use an argument of type {type(path).__name__}; expected {wanted}")
    return Path(path)


def config_of_test(config: dict[str, Any], run: str, file: Path) -> dict[str, Any]:
    """A run's config as it is when one of its checkpoints is tested.

    Args:
        config: That of the run.
        run: Its directory; what lay there lies in the directory of the test.
        file: The checkpoint.
    """
    made = primary_config(config, run)
    made |= {"train": False, "test": True, "ckpt_path": str(file), "optimized_metric": None}
    root = os.environ.get("TRAINER_DATA_DIR")
    if root and "dir" in made["data"]:  # where data lie is of the machine, not of the run
        made["data"]["dir"] = root
    device = made["trainer"].get("accelerator")
    made["trainer"] |= {"accelerator": device if device == "cpu" else "auto", "devices": 1, "strategy": "auto"}
    return made


def _composed(name: str, words: tuple[str, ...]) -> DictConfig:
    try:
        with _loader():
            return compose(name, [*words], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        refuse([mistake_in(error, None, lambda group: [])])
        raise


def _run(config: DictConfig) -> Run:
    """Do what Hydra does for a command line, with a config that is there already."""
    with late_imports():
        from trainer.artifacts.run_directory import finite
        from trainer.training.distributed.launch import join, leading

    if is_first_process():
        with leading():
            return _run_first(config)
    joined = join()
    if joined is None:
        raise UserError("the first process of the run has started none")
    directory, result = joined
    return Run(directory, finite(result["metrics"]), Path(result["checkpoint"]) if result["checkpoint"] else None)


def _run_first(config: DictConfig) -> Run:
    from hydra._internal.callbacks import Callbacks

    with late_imports():
        from trainer.training.run import run

    os.environ["TRAINER_RUN_SUFFIX"] = secrets.token_hex(3)
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.mode = RunMode.RUN
        config.hydra.output_subdir = ".hydra"  # as a command leaves it; Hydra's `compose` has it left out
    with _loader() as loader:
        callbacks = Callbacks(config)
        try:
            callbacks.on_run_start(config=config, config_name="config")
        except SystemExit as taken:  # the directory is not to be had; a notebook is not to end for it
            raise UserError(str(taken.code).removeprefix("error: ")) from None
        context = HydraContext(config_loader=loader, callbacks=callbacks)
        done = run_job(run, config, job_dir_key="hydra.run.dir", job_subdir_key=None, hydra_context=context)
        if isinstance(done._return_value, Exception):
            raise _as_user_error(done._return_value)
    assert done.hydra_cfg
    directory = Path(done.hydra_cfg.hydra.runtime.output_dir)
    result = json.loads((directory / "result.json").read_text("utf-8"))
    return Run(directory, result["metrics"], Path(result["checkpoint"]) if result["checkpoint"] else None)


@contextmanager
def _loader() -> Iterator[Any]:
    """Hydra, for as long as it is needed."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(HOME / "conf"), version_base="1.3", job_name="trainer"):
        yield GlobalHydra.instance().config_loader()


def _as_user_error(error: Exception) -> Exception:
    """Return an error that the user can correct as a `UserError`, and any other as it is."""
    text = user_message(error)
    return error if text is None or isinstance(error, UserError) else UserError(text)
