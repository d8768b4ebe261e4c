"""State that a training needs at a safe point to resume exactly, in addition to Lightning's own checkpoint.

It contains random number generators, the values that metrics have accumulated in the epoch, and the metrics that
callbacks can read. All values are plain containers and tensors, so `weights_only` loading accepts them.
"""
# Lightning's classes have attributes that they do not declare
# mypy: disable-error-code="attr-defined,method-assign"

import random
from collections import OrderedDict
from collections.abc import Iterator
from copy import copy, deepcopy
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import LambdaCallback, ModelPruning, StochasticWeightAveraging, WeightAveraging
from torch import Tensor
from torchmetrics import Metric

from trainer.core.callback import has_hook, is_user_code
from trainer.core.compat import Loop, ResultMetadata, ResultMetric, ResultSync
from trainer.data.loading.epoch_sampler import warn_not_positioned
from trainer.data.loading.resumable_loader import ResumableLoader
from trainer.training.loop.safe_points import SafePointKind

EPOCH_END_HOOK = "on_train_epoch_end"
# callbacks of Lightning that may change weights in this hook
WEIGHT_CHANGING_CALLBACKS = (LambdaCallback, ModelPruning, StochasticWeightAveraging, WeightAveraging)
State = dict[str, Any]
Weights = dict[str, Tensor]
IMMUTABLE_TYPES = (int, float, str, bool, type(None))
METRIC_ATTRIBUTES = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")
METADATA_FIELDS = (  # fields of a value's metadata with plain values
    *("fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph"),
    *("add_dataloader_idx", "dataloader_idx", "metric_attribute"),
)


def capture_state(kind: SafePointKind, trainer: Trainer) -> State:
    """Return the state of a training at a safe point."""
    loop = trainer.fit_loop.epoch_loop
    connector = trainer._logger_connector
    is_inside_epoch = kind == "step"
    return {
        "at": kind,
        "random": get_rng_states(),
        "shown": {name: dict(getattr(connector, name)) for name in METRIC_ATTRIBUTES},
        "latest": dict(loop.step_log.latest) if is_inside_epoch and hasattr(loop, "step_log") else {},
        "results": list(_dump_results(loop._results)) if is_inside_epoch else [],
        "metrics": _dump_metrics(trainer.lightning_module),
        "gradients": _dump_gradients(trainer.lightning_module),
        "samplers": []
        if is_inside_epoch
        else [loader.order.read_attributes() for loader in _list_resumable_loaders(trainer)],
        "validated": dict(loop.val_loop._seen_batches_per_dataloader),
        "should_stop": trainer.should_stop,
        "limits": read_limits(trainer),
    }


def read_limits(trainer: Trainer) -> list[int | None]:
    """Return the maximum numbers of epochs and steps of a training."""
    return [trainer.max_epochs, trainer.max_steps]


def restore_shown_metrics(trainer: Trainer, state: State) -> None:
    """Restore the latest metrics, which callbacks and progress bar read."""
    for name in METRIC_ATTRIBUTES:
        setattr(trainer._logger_connector, name, dict(state["shown"][name]))


def copy_validated_weights(trainer: Trainer) -> Weights | None:
    """Return a copy of the weights if they may change between their validation and the next safe point, else None.

    Callbacks for pruning or averaging change weights at the end of an epoch. A validation between accumulated batches
    is followed by a step of the optimizer.
    """
    may_change = any(_may_change_weights(callback) for callback in trainer.callbacks)
    may_change = may_change or has_hook(trainer.lightning_module, EPOCH_END_HOOK, LightningModule)
    may_change = may_change or trainer.fit_loop.epoch_loop._should_accumulate()
    if trainer.sanity_checking or not may_change:
        return None
    weights: Weights = copy_checkpoint(trainer._checkpoint_connector.dump_checkpoint(weights_only=False)["state_dict"])
    return weights


def _may_change_weights(callback: Callback) -> bool:
    is_candidate = is_user_code(callback) or isinstance(callback, WEIGHT_CHANGING_CALLBACKS)
    return is_candidate and has_hook(callback, EPOCH_END_HOOK, Callback)


def resume_from(trainer: Trainer, state: State) -> None:
    """Restore a state just before the first epoch starts, after all setup that draws random numbers or counts."""
    fit = trainer.fit_loop
    start_epoch = fit.on_advance_start

    def restore_and_start_epoch() -> None:
        fit.on_advance_start = start_epoch
        _restore_state(trainer, state)
        start_epoch()

    fit.on_advance_start = restore_and_start_epoch


def _restore_state(trainer: Trainer, state: State) -> None:
    fit = trainer.fit_loop
    loop = fit.epoch_loop
    assert Loop.restarting.fset
    Loop.restarting.fset(fit, False)  # a safe point has no unfinished work that Lightning would repeat
    if state["at"] == "step":
        reset = loop.reset

        def keep_counters() -> None:
            loop.reset = reset

        loop.reset = keep_counters
        # the loader exists already if a scheduler needed the number of steps
        if fit._combined_loader_states_to_load and fit._combined_loader and fit._data_fetcher:
            fit._combined_loader._load_state_dicts(fit._combined_loader_states_to_load)
            fit._combined_loader_states_to_load = []
            iter(fit._data_fetcher)
        if not all(hasattr(loader, "load_state_dict") for loader in _list_loaders(trainer)):
            warn_not_positioned(type(trainer.datamodule or trainer.lightning_module).__name__)
        trainer._logger_connector._first_loop_iter = True  # the epoch's first batch has been processed
        if hasattr(loop, "step_log"):
            loop.step_log.latest.update(state["latest"])
        for result in state["results"]:
            loop._results[result["key"]] = _load_result(result, trainer)
    else:
        fit._resuming_from_checkpoint = False  # the epoch starts with a new iterator
        for loader, attributes in zip(_list_resumable_loaders(trainer), state["samplers"], strict=False):
            loader.order.restore_attributes(attributes)
    restore_shown_metrics(trainer, state)
    modules = dict(trainer.lightning_module.named_modules())
    for name, (values, count) in state["metrics"].items():
        vars(modules[name]).update(values, _update_count=count, _computed=None)
    for name, gradient in state["gradients"].items():
        trainer.lightning_module.get_parameter(name).grad = gradient.to(trainer.lightning_module.device)
    loop.val_loop._seen_batches_per_dataloader.update(state["validated"])
    set_rng_states(state["random"])


def _list_loaders(trainer: Trainer) -> list[Any]:
    combined_loader = trainer.fit_loop._combined_loader
    return [] if combined_loader is None else combined_loader.flattened


def _list_resumable_loaders(trainer: Trainer) -> list[ResumableLoader]:
    return [loader for loader in _list_loaders(trainer) if isinstance(loader, ResumableLoader)]


def copy_checkpoint(value: Any, copies: dict[Any, Tensor] | None = None) -> Any:
    """Return a deep copy of a checkpoint, in a quarter of the time that `deepcopy` takes.

    Args:
        value: Plain containers, numbers and tensors. Copies of tensors that share memory share memory too.
        copies: Tensors copied so far, by memory address and layout.
    """
    copies = {} if copies is None else copies
    kind = type(value)
    if kind in IMMUTABLE_TYPES:
        return value
    if kind is Tensor:
        key = (value.data_ptr(), value.shape, value.stride(), value.dtype, value.device)
        if key not in copies:
            copies[key] = value.detach().clone()
        return copies[key]
    if kind in (dict, OrderedDict):
        duplicate = copy(value)  # includes `_metadata`, which PyTorch adds to the state of a network
        duplicate.update((key, copy_checkpoint(item, copies)) for key, item in value.items())
        return duplicate
    return kind(copy_checkpoint(item, copies) for item in value) if kind in (list, tuple) else deepcopy(value)


def get_rng_states() -> State:
    """Return the states of the random number generators of Python, NumPy and PyTorch, on all devices."""
    algorithm, numpy_state, *position = np.random.get_state(legacy=True)
    version, python_state, gauss_next = random.getstate()
    return {
        "python": [version, torch.tensor(python_state), gauss_next],
        "numpy": [algorithm, torch.from_numpy(np.asarray(numpy_state, dtype=np.int64)), *position],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_rng_states(states: State) -> None:
    """Restore the states of `get_rng_states`; those of GPUs only if their number is the same."""
    version, python_state, gauss_next = states["python"]
    random.setstate((version, tuple(python_state.tolist()), gauss_next))
    algorithm, numpy_state, *position = states["numpy"]
    np.random.set_state((algorithm, numpy_state.numpy().astype(np.uint32), *position))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def _dump_results(results: dict[str, ResultMetric]) -> Iterator[State]:
    """Yield the values that Lightning has accumulated in this epoch, one entry per logged name."""
    for key, result in results.items():
        if result.has_reset:
            continue
        meta = result.meta
        yield {
            "key": key,
            "meta": {name: getattr(meta, name) for name in METADATA_FIELDS},
            "reduce": meta.reduce_fx.__name__,
            "sync": [meta.sync.should, meta.sync.rank_zero_only],
            "is_tensor": result.is_tensor,
            "values": {name: getattr(result, name) for name in result._defaults},
            "latest": result._forward_cache,
            "count": result._update_count,
        }


def _load_result(entry: State, trainer: Trainer) -> ResultMetric:
    """Return the object of an entry of `_dump_results`."""
    meta = ResultMetadata(**entry["meta"], reduce_fx=getattr(torch, entry["reduce"]))
    should_sync, rank_zero_only = entry["sync"]
    meta.sync = ResultSync(_should=should_sync, fn=trainer.strategy.reduce, rank_zero_only=rank_zero_only)
    result = ResultMetric(meta, entry["is_tensor"])
    if not entry["is_tensor"]:
        result.value = trainer.lightning_module.get_submodule(entry["meta"]["metric_attribute"])
    vars(result).update(entry["values"], _forward_cache=entry["latest"], _update_count=entry["count"])
    return result.to(trainer.lightning_module.device)


def _dump_metrics(task: LightningModule) -> dict[str, list[Any]]:
    """Return the values and the number of updates of each metric that has been updated."""
    return {
        name: [{state: getattr(metric, state) for state in metric._defaults}, metric._update_count]
        for name, metric in task.named_modules()
        if isinstance(metric, Metric) and metric._update_count
    }


def _dump_gradients(task: LightningModule) -> dict[str, Tensor]:
    """Return the gradients that a task of the user may accumulate over several batches with manual optimization."""
    if task.automatic_optimization or not is_user_code(task):
        return {}
    return {name: weight.grad for name, weight in task.named_parameters() if weight.grad is not None}
