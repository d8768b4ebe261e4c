"""Dry run of a config, which builds all objects except loggers and runs a step.

The data sets of this package are not opened: the batch is synthetic, made from their spec. User code runs a step on a
real batch, see `trial_step`. No logger is built, as it may start a run on a server.

Constructors detect errors that type hints do not: a negative learning rate, a dropout of 2, a network that does not
accept the data. They are called on PyTorch's meta device, where tensors have a shape and no values. The step of a large
network runs there too. That of a small one runs on real tensors: it takes milliseconds and detects more errors.
"""

import contextlib
import logging
import re
import warnings
from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning import LightningModule
from torch import nn

from trainer.config.diagnostics import Diagnostic
from trainer.config.monitors import resolve_monitor_modes
from trainer.config.schema import Config
from trainer.core.callback import Callback, has_hook
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec, find_spec
from trainer.data.base import TensorData
from trainer.data.loading.class_balance import require_classes
from trainer.task.adversarial import Adversarial
from trainer.task.custom_metrics import validate_custom_metrics
from trainer.task.supervised import Supervised
from trainer.training.build import build, build_data, build_trainer
from trainer.training.build_module import build_module, build_parts, build_with_spec
from trainer.training.build_optimizer import build_optimizer_of_no_network
from trainer.training.fused.structure import MIXING_REASON, has_convolutions, reason_not_fusable
from trainer.training.preflight.dry_run_cache import Facts
from trainer.training.preflight.monitored_metrics import (
    check_modes,
    check_modes_in_code,
    check_monitored_metrics,
    check_weight_averaging,
    read_objective_directions,
)
from trainer.training.preflight.synthetic_step import run_synthetic_step
from trainer.training.preflight.trial_step import diagnose_user_error, try_step
from trainer.training.preflight.unused_settings import (
    WATCHED_PARTS,
    CallRecorder,
    UsageTracker,
    find_unused_settings,
)
from trainer.training.stages import find_test_obstacle
from trainer.training.thread_count import estimate_multiplications

log = logging.getLogger(__name__)

DRY_RUN_EXAMPLES = 2  # batch norm requires two
ESTIMATED_STEPS = 1000  # length of the training for schedulers; the real one depends on the data
KNOWN_PACKAGES = ("trainer.", "torch.", "torchvision.", "torchmetrics.", "pytorch_lightning.")
_KEY_LIST_PATTERN = re.compile(r"[\w.\[\]]+((, | and )[\w.\[\]]+)*")


class DryRun:
    """Construction of the objects of a config, and a training step; stores errors and warnings.

    Args:
        config: Config that can be resolved, with valid arguments.
    """

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.diagnostics: list[Diagnostic] = []
        self.facts: Facts = {}  # see `dry_run_cache`
        self._usage = UsageTracker()
        self._stepped = False

    def run(self) -> None:
        """Build all objects and run a step; store the results in `diagnostics` and `facts`."""
        modes: list[Diagnostic] = []
        self._directions = {}
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):  # the run repeats them
            torch.default_generator.manual_seed(0)  # reproducible errors
            data = self._attempt("data", lambda: build_data(self.config))
            if data is not None:
                self._directions = read_objective_directions(self.config, data)
                modes = [*check_modes(self.config, self._directions)]
            self.config = resolve_monitor_modes(self.config, self._directions)
            self._run(data)
        reported = {item.key for item in self.diagnostics}
        self.diagnostics += [item for item in modes if item.key.removesuffix("mode") + "monitor" not in reported]

    def _run(self, data: Any) -> None:
        config = self.config
        callbacks = {}
        for name in config.callbacks or {}:
            callbacks[name] = self._attempt(f"callbacks.{name}", partial(build, config, f"callbacks.{name}"))
        self.diagnostics += check_weight_averaging(callbacks)
        self._attempt("trainer", lambda: build_trainer(config, logger=False, callbacks=[], enable_checkpointing=False))
        if data is None:
            self._attempt("optimizer", lambda: build_optimizer_of_no_network(config))
            return
        spec = find_spec(data)
        if isinstance(data, TensorData):
            self._attempt("data.augmentation", lambda: data.augmentation.validate(data.spec))
        if spec:
            self._attempt("objective", lambda: self._check_objective(spec))
            self._attempt("data", lambda: require_classes(spec, getattr(data, "sampling", None)))
        is_foreign = not (isinstance(data, TensorData) and _is_builtin(config.model._target_))
        with contextlib.nullcontext() if is_foreign else torch.device("meta"):
            module = self._attempt("model", lambda: self._build_module(spec))
        if module is None:
            return
        parts = self._parts  # a step may build others
        if config.test and (problem := find_test_obstacle(module, data)):
            self.diagnostics.append(Diagnostic("test", f"skipped: {problem}", is_error=not config.train))
        if isinstance(data, TensorData) and has_hook(module, "train_dataloader", LightningModule):
            problem = f"its train_dataloader is not used: the examples are those of {config.data._target_}"
            hint = "name the data of the module: data=custom data._target_=..., or data=datasets"
            self.diagnostics.append(Diagnostic("model", problem, hint, is_error=False))
        for name, callback in callbacks.items():
            if isinstance(callback, Callback):
                self._attempt(f"callbacks.{name}", partial(callback.check, module, data))
        optimizers = self._attempt("optimizer", lambda: _configure_optimizers(module, config))
        schedules, configured = optimizers or (None, False)
        objects = {f"callbacks.{name}": callback for name, callback in callbacks.items()}
        objects["scheduler" if type(module).__module__.startswith("trainer.") else "model"] = schedules
        self.diagnostics += check_modes_in_code(objects, self._directions)
        if is_foreign:
            logged = self._try_step(module, data)
        else:
            logged = getattr(module, "logged_metrics", None)
            self._attempt("model", lambda: self._step(module, data))
        if logged is not None:
            existing = [callback for callback in callbacks.values() if callback is not None]
            self.diagnostics += check_monitored_metrics(config, logged, existing, data)
        folds = config.data.get("folds")
        self.facts["unused"] = find_unused_settings(
            self._usage, parts, module, data, configured=configured, stepped=self._stepped, folds=folds
        )

    def _build_module(self, spec: DataSpec | None) -> LightningModule:
        self._parts = parts = build_parts(self.config, spec)
        if "net" in parts:
            parts["net"].register_forward_pre_hook(CallRecorder(self._usage.used))
        watched = {name: self._usage.watch(name, parts[name]) for name in WATCHED_PARTS if name in parts}
        return build_module(self.config, parts | watched)

    def _check_objective(self, spec: DataSpec) -> None:
        """Validate metrics that are objects; a user-defined objective need not have any."""
        objective = build_with_spec(self.config, "objective", spec)
        if hasattr(objective, "metrics") and hasattr(objective, "scores"):
            validate_custom_metrics(spec, objective.metrics(), objective.scores)

    def _try_step(self, module: LightningModule, data: Any) -> list[str] | None:
        """Run a step of user code; return the names of the metrics that it logged, or None if it was not completed."""
        self._set_facts(module)
        if not self.config.preflight.step or any(item.is_error for item in self.diagnostics):
            return None
        result = try_step(self.config, module, data, self._count_examples())
        self.diagnostics += result.diagnostics
        self._stepped = result.logged is not None
        return result.logged

    def _attempt(self, key: str, function: Callable[[], Any]) -> Any:
        """Return the result of a function; None after an error, stored with the key that its message starts with."""
        try:
            return function()
        except UserError as error:
            text = str(error).partition("\n  (HYDRA_FULL_ERROR=1")[0]
            prefix, _, rest = text.partition(": ")
            is_key = _KEY_LIST_PATTERN.fullmatch(prefix) and prefix.partition(".")[0] in Config.__dataclass_fields__
            if rest and is_key:
                key = prefix
                text = rest
                while text.startswith(f"{key}: "):  # `attribute_errors_to` and the constructor may both add it
                    text = text.removeprefix(f"{key}: ")
            problem, _, hint = text.partition("\n  ")
            diagnostic = Diagnostic(key, problem, hint)
            if diagnostic not in self.diagnostics:  # the objective is built twice, alone and for the task
                self.diagnostics.append(diagnostic)
        except Exception as error:
            self.diagnostics.append(diagnose_user_error(error, key))
        return None

    def _step(self, task: Any, data: Any) -> None:
        spec: DataSpec = data.spec
        weights = self._set_facts(task)
        batch_size = self.config.data.get("batch_size")
        examples = self._count_examples()
        if isinstance(batch_size, int):
            self.facts["work"] = estimate_multiplications(weights, spec, batch_size)
        self.facts["unfusable"] = reason_not_fusable(task) or (MIXING_REASON if data.augmentation.batch_steps else None)
        self.facts["convolutions"] = has_convolutions(task.net)
        if not self.config.preflight.step:
            return
        result = run_synthetic_step(task, data, examples, lambda: self._build_module(spec))
        if result is not None:
            self.diagnostics += result
            self._stepped = True

    def _set_facts(self, module: LightningModule) -> int:
        """Store the facts about a module, and return its number of weights."""
        net = getattr(module, "net", None)
        weights = sum(weight.numel() for weight in module.parameters())
        self.facts = {"net": type(net if isinstance(net, nn.Module) else module).__name__, "parameters": weights}
        return weights

    def _count_examples(self) -> int:
        batch_size = self.config.data.get("batch_size")
        return min(batch_size, DRY_RUN_EXAMPLES) if isinstance(batch_size, int) else DRY_RUN_EXAMPLES


def _configure_optimizers(task: Any, config: DictConfig) -> tuple[Any, bool]:
    """Return the result of `configure_optimizers` without a trainer, and whether it finished."""
    task._trainer = SimpleNamespace(
        estimated_stepping_batches=ESTIMATED_STEPS,
        check_val_every_n_epoch=config.trainer.get("check_val_every_n_epoch", 1),
        strategy=SimpleNamespace(),
        max_epochs=config.trainer.get("max_epochs") or 1,
    )
    result = None
    finished = False
    with contextlib.suppress(AttributeError):  # a user-defined task may need other attributes of the trainer
        result = task.configure_optimizers()
        finished = True
    task._trainer = None
    return result, finished


def _is_builtin(target: str) -> bool:
    """Return whether a module is one of this package or derived from one, so that it takes a batch of any spec."""
    cls = resolve_name(target)
    return isinstance(cls, type) and issubclass(cls, Supervised | Adversarial)


def run_dry_run(config: DictConfig) -> tuple[list[Diagnostic], Facts]:
    """Build all objects of a config and run a step; return its diagnostics and facts."""
    dry_run = DryRun(config)
    dry_run.run()
    return dry_run.diagnostics, dry_run.facts
