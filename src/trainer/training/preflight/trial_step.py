"""Training, validation and test of user code on one real batch each, with Lightning's own Trainer.

A synthetic batch can only be made from a spec, and only Lightning knows how it calls hooks, optimizers and loaders. So
the code of the user is tried as it will run, on one device, without callbacks and files. The training stops
after a batch instead of being limited to one, so that schedules have their real length.
"""

import contextlib
import io
import logging
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities.seed import isolate_rng
from torch.utils.data import DataLoader

from trainer.config.diagnostics import Diagnostic, SourceLocation
from trainer.core.errors import UserError, display_path, first_line, is_misconfiguration, unwrap_instantiation_error
from trainer.core.spec import DataSpec, find_spec, is_pair
from trainer.data.base import TensorData
from trainer.data.loading.loader_classes import restore_loader_classes
from trainer.training.build import build_trainer
from trainer.training.preflight.synthetic_batch import make_synthetic_batch
from trainer.training.preflight.trial_logger import make_trial_loggers
from trainer.training.stages import find_test_obstacle

MAX_TRIAL_SECONDS = 30.0  # for all jobs of a sweep; later ones are built but not tried
PACKAGE_DIR = Path(__file__).resolve().parents[2]
LIBRARY_DIRECTORIES = ("site-packages", "dist-packages")
DISABLE_HINT = "preflight.step=false skips this check"
TRIAL_ARGUMENTS = {
    "devices": 1,
    "num_nodes": 1,
    "strategy": "auto",
    "min_epochs": None,
    "min_steps": None,
    "num_sanity_val_steps": 0,
    "check_val_every_n_epoch": 1,
    "log_every_n_steps": 1,
    "limit_test_batches": 1,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "profiler": None,
}

_trial_seconds = 0.0  # of all trials in this process


@dataclass
class TrialResult:
    """Result of a trial.

    Args:
        diagnostics: Errors and warnings. Defaults to none.
        logged: Names of all metrics that were logged; None if not all stages were run.
    """

    diagnostics: list[Diagnostic] = field(default_factory=list)
    logged: list[str] | None = None


class StopAfterBatch(Callback):
    """End of a training after its first batch, which is stored."""

    def __init__(self) -> None:
        self.batch: Any = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.batch = batch
        trainer.should_stop = True


def try_step(config: DictConfig, module: LightningModule, data: LightningDataModule, examples: int) -> TrialResult:
    """Run a step of each stage that the config runs.

    Args:
        config: The whole config.
        module: LightningModule on the CPU, used for nothing else.
        data: Data module, used for nothing else; opened unless it is a `TensorData` or has a method `example`.
        examples: Examples of a synthetic batch.
    """
    global _trial_seconds
    if _trial_seconds > MAX_TRIAL_SECONDS:
        problem = f"no step was tried, because those of other jobs took {MAX_TRIAL_SECONDS:.0f} s"
        return TrialResult([Diagnostic("preflight.step", problem, is_error=False)])
    started_at = time.monotonic()
    with isolate_rng(), _without_output() as directory:
        try:
            result = _run_stages(config, module, data, examples, directory)
        except Exception as error:  # user code may raise anything
            result = TrialResult([diagnose_user_error(error, _find_key(error, module), DISABLE_HINT)])
            restore_loader_classes()
    _trial_seconds += time.monotonic() - started_at
    return result


def _choose_source(data: LightningDataModule, examples: int) -> dict[str, Any]:
    """Return the arguments of `Trainer.fit` that provide the data."""
    batch = None
    if isinstance(data, TensorData):
        batch = make_synthetic_batch(data.spec, examples)
    elif callable(example := getattr(data, "example", None)):
        batch = example()
    if batch is None:
        return {"datamodule": data}
    loader: DataLoader[Any] = DataLoader([batch], batch_size=None, collate_fn=lambda batch: batch)  # type: ignore[arg-type]
    return {"train_dataloaders": loader, "val_dataloaders": loader}


def _run_stages(
    config: DictConfig, module: LightningModule, data: LightningDataModule, examples: int, directory: str
) -> TrialResult:
    source = _choose_source(data, examples)
    training = StopAfterBatch()
    trainer = _build_trial_trainer(config, training, directory)
    result = TrialResult()
    logged: set[str] = set()
    if config.train:
        trainer.fit(module, **source)
        logged |= {*trainer.callback_metrics}
        spec = find_spec(data)
        if spec and (problem := find_spec_contradiction(spec, training.batch)):
            result.diagnostics.append(Diagnostic("data", f"its spec contradicts the first batch: {problem}"))
    if config.test and not find_test_obstacle(module, data):
        loaders = {"dataloaders": source["train_dataloaders"]} if "train_dataloaders" in source else source
        trainer.test(module, verbose=False, **loaders)
        logged |= {*trainer.callback_metrics}
    if config.train:
        result.logged = sorted(logged)
    return result


def _build_trial_trainer(config: DictConfig, training: StopAfterBatch, directory: str) -> Trainer:
    checkpoints = _make_checkpoints(config, directory)
    arguments = TRIAL_ARGUMENTS | {
        "logger": make_trial_loggers(config, directory),
        "default_root_dir": directory,
        "callbacks": [training, *checkpoints],
        "enable_checkpointing": bool(checkpoints),
        "limit_val_batches": 0 if config.trainer.get("limit_val_batches") == 0 else 1,
    }
    return build_trainer(config, **arguments)


def _make_checkpoints(config: DictConfig, directory: str) -> list[Callback]:
    """Return the value of `trainer.checkpoint_callback` for user code; it saves nothing."""
    targets = [resolve_name(node["_target_"]) for node in (config.callbacks or {}).values()]
    is_configured = any(isinstance(target, type) and issubclass(target, ModelCheckpoint) for target in targets)
    return [ModelCheckpoint(directory, save_top_k=0)] if is_configured else []


def find_spec_contradiction(spec: DataSpec, batch: Any) -> str:
    """Return the difference between a spec and a batch of inputs and targets, or "" if there is none."""
    if not is_pair(batch):
        return ""  # a module of the user may take any batch
    inputs, targets = batch
    shape = tuple(inputs.shape[1:])
    if spec.kind != "tokens" and shape != spec.shape:
        return f"inputs of shape {shape}, expected {spec.shape}"
    is_classification = not targets.is_floating_point() and targets.dim() == 1
    if is_classification != (spec.target == "classification"):
        return f"targets of shape {(*targets.shape,)} and type {targets.dtype}, expected those of a {spec.target}"
    if is_classification and int(targets.max()) >= len(spec.class_names):
        return f"class {int(targets.max())}, expected 0 to {len(spec.class_names) - 1}"
    return ""


def _find_key(error: BaseException, module: LightningModule) -> str:
    """Return `model` if an error was raised in a method of a module or in a function that it called, else `data`."""
    if is_misconfiguration(error):  # by Lightning
        return "data" if "dataloader" in str(error) else "model"
    frames = traceback.walk_tb(error.__traceback__)
    return "model" if any(frame.f_locals.get("self") is module for frame, _ in frames) else "data"


def diagnose_user_error(error: BaseException, key: str, hint: str = "") -> Diagnostic:
    """Return the diagnostic of an exception in user code, with the last line of user code that it passed.

    Args:
        error: The exception.
        key: Config key of the code.
        hint: Suggestion. Defaults to none.
    """
    cause = unwrap_instantiation_error(error)
    if isinstance(cause, UserError):
        return Diagnostic(key, str(cause).replace("\n  ", "; "))
    frame = find_user_frame(cause)
    problem = first_line(cause) if is_misconfiguration(cause) else f"{type(cause).__name__}: {first_line(cause)}"
    if frame is None:
        return Diagnostic(key, problem, hint)
    location = SourceLocation(display_path(Path(frame.filename)), frame.lineno or 0)
    return Diagnostic(key, f"{problem}, in {frame.name}", hint, location)


def find_user_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost frame of an exception that is in no library and not in this package."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame for frame in reversed(frames) if _is_user_file(Path(frame.filename))), None)


def _is_user_file(file: Path) -> bool:
    is_library = any(name in LIBRARY_DIRECTORIES for name in file.parts) or file.is_relative_to(PACKAGE_DIR)
    return file.is_file() and not is_library and not file.is_relative_to(Path(contextlib.__file__).parent)


@contextlib.contextmanager
def _without_output() -> Iterator[str]:
    """Discard what is printed, logged and written to the yielded directory; the run repeats it."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), TemporaryDirectory() as directory:
            yield directory
    finally:
        logger.setLevel(level)
