"""Rehearsal: everything that a config names is built, and one step is made on a made-up batch; no data are opened.

Constructors refuse what no type tells: a rate below 0, a dropout of 2, a network that cannot take the data. They are
called on PyTorch's meta device, where tensors have shapes and no numbers. So is the step of a large network; that of a
small one, which takes milliseconds, is made with numbers, as there is more that it can find.
"""

import contextlib
import inspect
import logging
import re
import warnings
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from trainer.config.diagnostics import Mistake
from trainer.config.monitors import with_modes
from trainer.config.schema import Config, named_in
from trainer.core.errors import UserError, cause_of, first_line
from trainer.core.spec import Batch, DataSpec
from trainer.task.custom_metrics import try_custom_metrics
from trainer.training.build import build, build_net, build_trainer
from trainer.training.preflight.monitored_metrics import (
    measured_directions,
    mistakes_in_code,
    mistakes_of_averages,
    mistakes_of_modes,
    mistakes_of_monitors,
)
from trainer.training.preflight.output_activation import OutputCheck
from trainer.training.preflight.synthetic_batch import made_up
from trainer.training.preflight.unused_settings import Uses, unused
from trainer.training.thread_count import work

log = logging.getLogger(__name__)

EXAMPLES = 2  # of the made-up batch: batch norms need two
LONGEST_ALONE = 1024  # tokens of a single text that is passed forward
SMALL = 2_000_000  # weights of a network that is tried on real tensors: some 20 ms; shapes alone need sympy, 500 ms
MEDIUM = 20_000_000  # ... that is tried on real ones if it cannot be tried on shapes, as it looks at numbers: 200 ms
STEPS = 1000  # a length of training to make schedules with; theirs is known when the data are
KNOWN = ("trainer.", "torch.", "torchvision.", "torchmetrics.", "pytorch_lightning.")
_KEYS = re.compile(r"[\w.\[\]]+((, | and )[\w.\[\]]+)*")


@runtime_checkable
class LooksAtNet(Protocol):
    """A callback that names parts of the network."""

    def check(self, net: nn.Module) -> None:
        """Refuse a network without these parts, by a `UserError`."""
        ...


class Rehearsal:
    """Builds one config's objects, and notes what refuses.

    Args:
        config: Resolvable, and without mistakes in its calls.
    """

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.found: list[Mistake] = []
        self.facts: dict[str, Any] = {}  # of the step, for whoever wants to see that it was made
        self.uses = Uses()
        self._stepped = False

    def run(self) -> None:
        """Build and step; `found` and `facts` say how it went."""
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.default_generator.manual_seed(0)  # what is found once is found again
            warnings.simplefilter("ignore")  # the run says it again
            data = self._tried("data", lambda: build(self.config, "data"))
            self.measured = {} if data is None else measured_directions(self.config, data)
            modes = [] if data is None else [*mistakes_of_modes(self.config, self.measured)]
            self.config = with_modes(self.config, self.measured)
            self._run(data)
        told = {each.key for each in self.found}
        self.found += [each for each in modes if each.key.removesuffix("mode") + "monitor" not in told]

    def _run(self, data: Any) -> None:
        config = self.config
        callbacks = [
            self._tried(f"callbacks.{name}", self._builder(f"callbacks.{name}")) for name in config.callbacks or {}
        ]
        for name, node in (config.logger or {}).items():
            if str(node._target_).startswith("trainer."):  # others may start a run on a server
                self._tried(f"logger.{name}", self._builder(f"logger.{name}"))
        self.found += mistakes_of_averages(dict(zip(config.callbacks or {}, callbacks, strict=True)))
        self._tried("trainer", lambda: build_trainer(config, logger=False, callbacks=[], enable_checkpointing=False))
        if data is None:  # of what needs its promise nothing can be said
            self._tried("optimizer", lambda: build(config, "optimizer", [nn.Parameter(torch.zeros(1))]))
            return
        self._tried("objective", lambda: _check_metrics(build(config, "objective", data.spec), data.spec))
        with torch.device("meta"):
            task = self._tried("model", lambda: self._task(data.spec))
        if task is None:
            return
        net = self._net
        for name, callback in zip(config.callbacks or {}, callbacks, strict=True):
            if isinstance(callback, LooksAtNet) and isinstance(getattr(task, "net", None), nn.Module):
                self._tried(f"callbacks.{name}", partial(callback.check, task.net))
        schedules, configured = self._tried("optimizer", lambda: _configure(task)) or (None, False)
        self.found += mistakes_of_monitors(config, task, [each for each in callbacks if each is not None], data)
        made = {f"callbacks.{name}": each for name, each in zip(config.callbacks or {}, callbacks, strict=True)}
        of_task = "scheduler" if type(task).__module__.startswith("trainer.") else "model.task"
        self.found += mistakes_in_code({**made, of_task: schedules}, self.measured)
        self._tried("model", lambda: self._step(task, data))
        self.facts["unused"] = unused(self.uses, task, net, configured=configured, stepped=self._stepped)

    def _builder(self, key: str) -> Callable[[], Any]:
        return partial(build, self.config, key)

    def _task(self, spec: DataSpec) -> Any:
        config = self.config
        self._net = net = build_net(config, spec)
        net.register_forward_pre_hook(lambda *_: self.uses.noted.add("compile"))
        given = {"objective": build(config, "objective", spec)}
        given |= {name: build(config, name) for name in ("optimizer", "scheduler")}
        return build(config, "model.task", net, *(self.uses.watch(name, each) for name, each in given.items()))

    def _tried(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` makes; None where it refuses, which is noted under the key that its message begins with."""
        try:
            return make()
        except UserError as error:
            text = str(error).partition("\n  (HYDRA_FULL_ERROR=1")[0]
            blamed, _, rest = text.partition(": ")
            known = rest and _KEYS.fullmatch(blamed) and blamed.partition(".")[0] in Config.__dataclass_fields__
            while known and rest.startswith(f"{blamed}: "):  # one who said it and one who was blamed
                rest = rest.removeprefix(f"{blamed}: ")
            at, problem = (blamed, rest) if known else (key, text)
            problem, _, offer = problem.partition("\n  ")
            mistake = Mistake(at, problem, offer)
            if mistake not in self.found:  # the task is built from the objective, which was tried by itself
                self.found.append(mistake)
        except Exception as error:
            if not _is_known(self.config, key):  # a fault in code of the user's, who needs its traceback
                raise
            cause = cause_of(error)
            self.found.append(Mistake(key, f"{type(cause).__name__}: {first_line(cause)}"))
        return None

    def _step(self, task: Any, data: Any) -> None:
        spec: DataSpec = data.spec
        weights = sum(weight.numel() for weight in task.parameters())
        self.facts = {"net": type(getattr(task, "net", task)).__name__, "parameters": weights}
        batch_size = self.config.data.get("batch_size")
        examples = EXAMPLES
        if isinstance(batch_size, int):
            self.facts["work"] = work(weights, spec, batch_size)
            examples = min(batch_size, EXAMPLES)
        if weights > SMALL:
            try:
                with torch.device("meta"):
                    self._try(task, data, examples)
                    self._stepped = True
                return
            except UserError:
                raise
            except Exception as error:  # numbers were looked at, or something is really wrong: real tensors tell
                if weights > MEDIUM:
                    log.debug("a step on shapes: %s", error)
                    return
        real = self._task(spec)
        try:
            self._try(real, data, examples)
            self._stepped = True
        except (RuntimeError, ValueError, IndexError) as error:
            left_to_the_run = ("alloc", "not attached to a `Trainer`")  # a lack of memory; a task that asks its trainer
            if any(words in str(error) for words in left_to_the_run) or isinstance(error, torch.OutOfMemoryError):
                return
            raise UserError(f"model.net: a step on data '{spec.name}' fails: {first_line(error)}") from error

    def _try(self, task: Any, data: Any, examples: int) -> None:
        """Make a step of so many examples."""
        spec: DataSpec = data.spec
        check = OutputCheck(task, spec, getattr(data, "standardize_target", False))
        handle = task.net.register_forward_hook(check) if check.applies else None
        try:
            _forward_and_backward(task, made_up(spec, examples))
        finally:
            if handle:
                handle.remove()
        if check.applies and spec.kind == "tokens" and not torch.zeros(0).is_meta:
            with torch.no_grad():  # a text of the full length; on shapes recurrent networks take seconds for it
                task.net.eval()(made_up(spec, 1, longest=LONGEST_ALONE)[0])
        self.found += check.warnings()


def _forward_and_backward(task: Any, batch: Batch) -> None:
    """What a step computes, with the losses that a task of two networks only logs."""
    logged: list[Any] = []
    task.log = lambda name, value, *_, **__: logged.append(value)
    step = task.training_step if task.automatic_optimization else task.validation_step
    loss = step(*(batch, 0)[: len(inspect.signature(step).parameters)])  # Lightning gives the number to who takes it
    loss = loss["loss"] if isinstance(loss, dict) else loss
    losses = [loss] if isinstance(loss, Tensor) else logged
    for each in losses:
        if isinstance(each, Tensor) and each.requires_grad:
            torch.autograd.backward(each, retain_graph=True)


def _check_metrics(objective: Any, spec: DataSpec) -> None:
    """Try metrics that are objects; an objective of the user's need not be an `Objective`."""
    if hasattr(objective, "metrics") and hasattr(objective, "scores"):
        try_custom_metrics(spec, objective.metrics(), objective.scores)


def _configure(task: Any) -> tuple[Any, bool]:
    """Return what `configure_optimizers` returns without a trainer, and whether it finished."""
    task._trainer = SimpleNamespace(
        estimated_stepping_batches=STEPS, check_val_every_n_epoch=1, strategy=SimpleNamespace(), max_epochs=1
    )
    made = None
    finished = False
    with contextlib.suppress(AttributeError):  # a task of the user's may ask the trainer for more
        made = task.configure_optimizers()
        finished = True
    task._trainer = None
    return made, finished


def _is_known(config: DictConfig, key: str) -> bool:
    """Whether all that is built at a key is code of ours or of our dependencies."""
    return all(name.startswith(KNOWN) for name in named_in(OmegaConf.select(config, key)))


def rehearse(config: DictConfig) -> tuple[list[Mistake], dict[str, Any]]:
    """Build all and make a step.

    Returns:
        list[Mistake]: What refuses; empty where all is well.
        dict: What was rehearsed: network, number of weights.
    """
    rehearsal = Rehearsal(config)
    rehearsal.run()
    return rehearsal.found, rehearsal.facts
