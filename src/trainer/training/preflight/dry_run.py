"""Dry run of a config, which builds all objects except loggers and runs a step on a synthetic batch.

No data are opened, and no logger is built, as it may start a run on a server.

Constructors detect errors that type hints do not: a negative learning rate, a dropout of 2, a network that does not
accept the data. They are called on PyTorch's meta device, where tensors have a shape and no values. The step of a large
network runs there too. That of a small one runs on real tensors: it takes milliseconds and detects more errors.
"""

import contextlib
import inspect
import logging
import re
import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from trainer.config.diagnostics import Diagnostic
from trainer.config.monitors import resolve_monitor_modes
from trainer.config.schema import Config, find_targets
from trainer.core.callback import Callback
from trainer.core.errors import UserError, first_line, unwrap_instantiation_error
from trainer.core.spec import Batch, DataSpec
from trainer.task.custom_metrics import validate_custom_metrics
from trainer.training.build import build, build_net, build_trainer
from trainer.training.preflight.dry_run_cache import Facts
from trainer.training.preflight.monitored_metrics import (
    check_modes,
    check_modes_in_code,
    check_monitored_metrics,
    check_weight_averaging,
    read_objective_directions,
)
from trainer.training.preflight.output_activation import OutputCheck
from trainer.training.preflight.synthetic_batch import make_synthetic_batch
from trainer.training.preflight.unused_settings import UsageTracker, find_unused_settings
from trainer.training.thread_count import estimate_multiplications

log = logging.getLogger(__name__)

DRY_RUN_EXAMPLES = 2  # batch norm requires two
MAX_SINGLE_TEXT_TOKENS = 1024  # length of a single text in an additional forward pass
MAX_REAL_STEP_WEIGHTS = 2_000_000  # weights of a step on real tensors: about 20 ms; the meta device loads sympy, 500 ms
MAX_FALLBACK_WEIGHTS = 20_000_000  # weights of a step on real tensors after a failure on the meta device: 200 ms
ESTIMATED_STEPS = 1000  # length of the training for schedulers; the real one depends on the data
KNOWN_PACKAGES = ("trainer.", "torch.", "torchvision.", "torchmetrics.", "pytorch_lightning.")
_KEY_LIST_PATTERN = re.compile(r"[\w.\[\]]+((, | and )[\w.\[\]]+)*")
# errors of a step that a run may not have: out of memory; a task that uses its trainer
_IGNORED_STEP_ERRORS = ("alloc", "not attached to a `Trainer`")


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
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.default_generator.manual_seed(0)  # reproducible errors
            warnings.simplefilter("ignore")  # the run repeats them
            data = self._attempt("data", lambda: build(self.config, "data"))
            if data is not None:
                self._directions = read_objective_directions(self.config, data)
                modes = [*check_modes(self.config, self._directions)]
            self.config = resolve_monitor_modes(self.config, self._directions)
            self._run(data)
        reported = {item.key for item in self.diagnostics}
        self.diagnostics += [item for item in modes if item.key.removesuffix("mode") + "monitor" not in reported]

    def _run(self, data: Any) -> None:
        config = self.config
        callbacks = {name: self._attempt_build(f"callbacks.{name}") for name in config.callbacks or {}}
        self.diagnostics += check_weight_averaging(callbacks)
        self._attempt("trainer", lambda: build_trainer(config, logger=False, callbacks=[], enable_checkpointing=False))
        if data is None:
            self._attempt("optimizer", lambda: build(config, "optimizer", [nn.Parameter(torch.zeros(1))]))
            return
        self._attempt("objective", lambda: _check_metrics(build(config, "objective", data.spec), data.spec))
        with torch.device("meta"):
            task = self._attempt("model", lambda: self._build_task(data.spec))
        if task is None:
            return
        net = self._net
        for name, callback in callbacks.items():
            if isinstance(callback, Callback) and isinstance(getattr(task, "net", None), nn.Module):
                self._attempt(f"callbacks.{name}", partial(callback.check, task.net))
        schedules, configured = self._attempt("optimizer", lambda: _configure_optimizers(task)) or (None, False)
        existing = [callback for callback in callbacks.values() if callback is not None]
        self.diagnostics += check_monitored_metrics(config, task, existing, data)
        objects = {f"callbacks.{name}": callback for name, callback in callbacks.items()}
        objects["scheduler" if type(task).__module__.startswith("trainer.") else "model.task"] = schedules
        self.diagnostics += check_modes_in_code(objects, self._directions)
        self._attempt("model", lambda: self._step(task, data))
        self.facts["unused"] = find_unused_settings(
            self._usage, task, net, configured=configured, stepped=self._stepped
        )

    def _build_task(self, spec: DataSpec) -> Any:
        config = self.config
        self._net = net = build_net(config, spec)
        net.register_forward_pre_hook(lambda *_: self._usage.used.add("compile"))
        parts = {"objective": build(config, "objective", spec)}
        parts |= {name: build(config, name) for name in ("optimizer", "scheduler")}
        return build(config, "model.task", net, *(self._usage.watch(name, part) for name, part in parts.items()))

    def _attempt_build(self, key: str) -> Any:
        return self._attempt(key, lambda: build(self.config, key))

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
                while text.startswith(
                    f"{key}: "
                ):  # the constructor's message and `attribute_errors_to` may both add it
                    text = text.removeprefix(f"{key}: ")
            problem, _, hint = text.partition("\n  ")
            diagnostic = Diagnostic(key, problem, hint)
            if diagnostic not in self.diagnostics:  # the objective is built twice, alone and for the task
                self.diagnostics.append(diagnostic)
        except Exception as error:
            if not _is_known_code(self.config, key):  # an error in user code, shown with its traceback
                raise
            cause = unwrap_instantiation_error(error)
            self.diagnostics.append(Diagnostic(key, f"{type(cause).__name__}: {first_line(cause)}"))
        return None

    def _step(self, task: Any, data: Any) -> None:
        spec: DataSpec = data.spec
        weights = sum(weight.numel() for weight in task.parameters())
        self.facts = {"net": type(getattr(task, "net", task)).__name__, "parameters": weights}
        batch_size = self.config.data.get("batch_size")
        examples = DRY_RUN_EXAMPLES
        if isinstance(batch_size, int):
            self.facts["work"] = estimate_multiplications(weights, spec, batch_size)
            examples = min(batch_size, DRY_RUN_EXAMPLES)
        if weights > MAX_REAL_STEP_WEIGHTS:
            try:
                with torch.device("meta"):
                    self._run_step(task, data, examples)
                return
            except UserError:
                raise
            except Exception as error:  # the step uses values, or is invalid: real tensors show it
                if weights > MAX_FALLBACK_WEIGHTS:
                    log.debug("a step on the meta device: %s", error)
                    return
        real_task = self._build_task(spec)
        try:
            self._run_step(real_task, data, examples)
        except (RuntimeError, ValueError, IndexError) as error:
            is_ignored = any(text in str(error) for text in _IGNORED_STEP_ERRORS)
            if is_ignored or isinstance(error, torch.OutOfMemoryError):
                return
            raise UserError(f"model.net: a step on data '{spec.name}' fails: {first_line(error)}") from error

    def _run_step(self, task: Any, data: Any, examples: int) -> None:
        spec: DataSpec = data.spec
        check = OutputCheck(task, spec, getattr(data, "standardize_target", False))
        handle = task.net.register_forward_hook(check) if check.applies else None
        try:
            _forward_and_backward(task, make_synthetic_batch(spec, examples))
        finally:
            if handle:
                handle.remove()
        if check.applies and spec.kind == "tokens" and not torch.zeros(0).is_meta:
            with torch.no_grad():  # a long text; on the meta device recurrent networks take seconds for it
                task.net.eval()(make_synthetic_batch(spec, 1, MAX_SINGLE_TEXT_TOKENS)[0])
        self.diagnostics += check.warnings()
        self._stepped = True


def _forward_and_backward(task: Any, batch: Batch) -> None:
    """Run a step; with manual optimization a validation step, and a backward pass of each loss that it logs."""
    logged: list[Any] = []
    task.log = lambda name, value, *_, **__: logged.append(value)
    step = task.training_step if task.automatic_optimization else task.validation_step
    loss = step(*(batch, 0)[: len(inspect.signature(step).parameters)])  # the batch index is optional
    loss = loss["loss"] if isinstance(loss, dict) else loss
    for value in [loss] if isinstance(loss, Tensor) else logged:
        if isinstance(value, Tensor) and value.requires_grad:
            torch.autograd.backward(value, retain_graph=True)


def _check_metrics(objective: Any, spec: DataSpec) -> None:
    """Validate metrics that are objects; a user-defined objective need not have any."""
    if hasattr(objective, "metrics") and hasattr(objective, "scores"):
        validate_custom_metrics(spec, objective.metrics(), objective.scores)


def _configure_optimizers(task: Any) -> tuple[Any, bool]:
    """Return the result of `configure_optimizers` without a trainer, and whether it finished."""
    task._trainer = SimpleNamespace(
        estimated_stepping_batches=ESTIMATED_STEPS, check_val_every_n_epoch=1, strategy=SimpleNamespace(), max_epochs=1
    )
    result = None
    finished = False
    with contextlib.suppress(AttributeError):  # a user-defined task may need other attributes of the trainer
        result = task.configure_optimizers()
        finished = True
    task._trainer = None
    return result, finished


def _is_known_code(config: DictConfig, key: str) -> bool:
    """Return True if all objects at a key are code of this package or its dependencies."""
    return all(name.startswith(KNOWN_PACKAGES) for name in find_targets(OmegaConf.select(config, key)))


def run_dry_run(config: DictConfig) -> tuple[list[Diagnostic], Facts]:
    """Build all objects of a config and run a step; return its diagnostics and facts."""
    dry_run = DryRun(config)
    dry_run.run()
    return dry_run.diagnostics, dry_run.facts
