"""The Python API, for notebooks and for the commands: compose a config, train, test, and load what was trained.

    import trainer

    config = trainer.configure("experiment=digits_cnn", "trainer.max_epochs=5")
    run = trainer.train(config)
    model = trainer.load(run.directory)
    model.predict(["a.png", "b.png"])

All of it raises `trainer.errors.UserError` for what the user can mend.
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

from trainer.compose import Composer
from trainer.config import HOME, register
from trainer.errors import UserError
from trainer.hydra_error import mistake_in
from trainer.late import late_imports
from trainer.message import message
from trainer.mistake import refuse
from trainer.recorded import primary_config

if TYPE_CHECKING:  # they import torch
    from trainer.predictor import Predictor


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
    config = Composer().config_of(words)
    OmegaConf.set_readonly(config.hydra, False)
    return config


def train(*config: DictConfig | str) -> Run:
    """Train and test as a config says, and leave a run directory behind, as the command `trainer` does.

    Args:
        config: What `configure` returned; or the words for it.

    Raises:
        UserError: Something in it cannot be.
    """
    words = [word for word in config if isinstance(word, str)]
    given = [each for each in config if isinstance(each, DictConfig)]
    if given and (words or len(given) > 1):
        raise UserError("trainer.train takes a config or the words for one, not both")
    return _run(given[0].copy() if given else configure(*words))


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
        from trainer.artifacts.restore import checkpoint_file, read_checkpoint
        from trainer.model.pretrained import weights_given_later

    file = checkpoint_file(Path(path))
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
        from trainer.artifacts.restore import restore
        from trainer.predictor import Predictor

    return Predictor(restore(Path(path), trusted=trust))


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
    """What Hydra does for a command line, with a config that is there already."""
    from hydra._internal.callbacks import Callbacks

    with late_imports():
        from trainer.run import run

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
            raise _told(done._return_value)
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


def _told(error: Exception) -> Exception:
    """What ended a run, as a `UserError` where the user can mend it."""
    name, text = type(error).__name__, str(error)
    if name == "MisconfigurationException" or text.startswith("Error(s) in loading state_dict"):
        return UserError(message(error, ()) or text)
    return error
