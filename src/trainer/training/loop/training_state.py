"""State: what a training needs at a boundary to go on as if it had never stopped, beyond Lightning's own checkpoint.

Random numbers, what the metrics of the epoch under way have gathered, what callbacks see, and the counters without
Lightning's guesses. Everything is of plain containers and tensors: it loads under `weights_only`.
"""
# Lightning gives its objects more than it declares
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
from pytorch_lightning.loops.loop import _Loop
from pytorch_lightning.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from torch import Tensor
from torchmetrics import Metric

from trainer.training.loop.hook_dispatch import has_hook
from trainer.training.loop.safe_points import Place

EPOCH_END = "on_train_epoch_end"
CHANGE_WEIGHTS = (LambdaCallback, ModelPruning, StochasticWeightAveraging, WeightAveraging)  # at the end of an epoch
State = dict[str, Any]
Weights = dict[str, Tensor]
NEVER_CHANGED = (int, float, str, bool, type(None))
SHOWN = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")
LOGGED = (  # of a value's metadata, what is plain already
    *("fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph"),
    *("add_dataloader_idx", "dataloader_idx", "metric_attribute"),
)


def state_at(place: Place, trainer: Trainer) -> State:
    """All that, at a boundary."""
    loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
    inside = place == "step"
    return {
        "at": place,
        "random": random_states(),
        "shown": {name: dict(getattr(connector, name)) for name in SHOWN},
        "latest": dict(loop.step_log.latest) if inside and hasattr(loop, "step_log") else {},
        "results": list(_gathered(loop._results)) if inside else [],
        "metrics": _metric_states(trainer.lightning_module),
        "validated": dict(loop.val_loop._seen_batches_per_dataloader),
        "should_stop": trainer.should_stop,
        "limits": limits(trainer),
    }


def limits(trainer: Trainer) -> list[int | None]:
    """How long the training is to be: epochs, steps."""
    return [trainer.max_epochs, trainer.max_steps]


def show_again(trainer: Trainer, state: State) -> None:
    """Let callbacks, bar and whoever asks see the values that were seen last."""
    for name in SHOWN:
        setattr(trainer._logger_connector, name, dict(state["shown"][name]))


def validated_weights(trainer: Trainer) -> Weights | None:
    """Return a copy of the weights if something may change them between their validation and the end of the epoch.

    Callbacks prune weights then, or average them.
    """
    changing = any(_may_change_weights(one) for one in trainer.callbacks)
    if trainer.sanity_checking or not (changing or has_hook(trainer.lightning_module, EPOCH_END, LightningModule)):
        return None
    weights: Weights = as_it_is(trainer._checkpoint_connector.dump_checkpoint(weights_only=False)["state_dict"])
    return weights


def _may_change_weights(callback: Callback) -> bool:
    """Return whether a callback of the user's, or one of Lightning's that does it, has something to do then."""
    package = type(callback).__module__.partition(".")[0]
    known = package == "trainer" or (package == "pytorch_lightning" and not isinstance(callback, CHANGE_WEIGHTS))
    return not known and has_hook(callback, EPOCH_END, Callback)


def go_on_from(trainer: Trainer, state: State) -> None:
    """Put everything back at the last moment before the first epoch, when nothing else will draw or count."""
    fit = trainer.fit_loop
    begin_epoch = fit.on_advance_start

    def put_back_and_begin() -> None:
        fit.on_advance_start = begin_epoch
        _put_back(trainer, state)
        begin_epoch()

    fit.on_advance_start = put_back_and_begin


def _put_back(trainer: Trainer, state: State) -> None:
    fit, loop, connector = trainer.fit_loop, trainer.fit_loop.epoch_loop, trainer._logger_connector
    assert _Loop.restarting.fset
    _Loop.restarting.fset(fit, False)  # nothing was half done, so nothing is to be mended
    if state["at"] == "step":
        reset = loop.reset

        def keep_counters() -> None:
            loop.reset = reset

        loop.reset = keep_counters
        if (
            fit._combined_loader_states_to_load and fit._combined_loader and fit._data_fetcher
        ):  # the loader was made early, to count steps for a schedule
            fit._combined_loader._load_state_dicts(fit._combined_loader_states_to_load)
            fit._combined_loader_states_to_load = []
            iter(fit._data_fetcher)
        connector._first_loop_iter = True  # the first batch of the epoch is over
        if hasattr(loop, "step_log"):
            loop.step_log.latest.update(state["latest"])
        for kept in state["results"]:
            loop._results[kept["key"]] = _value(kept, trainer)
    else:
        fit._resuming_from_checkpoint = False  # the epoch begins as any other, with a new iterator
    show_again(trainer, state)
    modules = dict(trainer.lightning_module.named_modules())
    for name, (values, count) in state["metrics"].items():
        vars(modules[name]).update(values, _update_count=count, _computed=None)
    loop.val_loop._seen_batches_per_dataloader.update(state["validated"])
    set_random_states(state["random"])


def as_it_is(value: Any, copied: dict[Any, Tensor] | None = None) -> Any:
    """A copy of a checkpoint that stays as it is; what `deepcopy` gives, in a quarter of its time.

    Args:
        value: Of plain containers, numbers and tensors, of which those in the same place share one copy again.
        copied: By their places.
    """
    copied = {} if copied is None else copied
    kind = type(value)
    if kind in NEVER_CHANGED:
        return value
    if kind is Tensor:
        place = (value.data_ptr(), value.shape, value.stride(), value.dtype, value.device)
        if place not in copied:
            copied[place] = value.detach().clone()
        return copied[place]
    if kind in (dict, OrderedDict):
        again = copy(value)  # with what PyTorch notes beside the weights of a network
        again.update((key, as_it_is(item, copied)) for key, item in value.items())
        return again
    return kind(as_it_is(item, copied) for item in value) if kind in (list, tuple) else deepcopy(value)


def random_states() -> State:
    """Those of Python, NumPy and PyTorch, on all devices."""
    kind, numbers, *more = np.random.get_state(legacy=True)
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    version, words, spare = random.getstate()
    return {
        "python": [version, torch.tensor(words), spare],
        "numpy": [kind, torch.from_numpy(np.asarray(numbers, dtype=np.int64)), *more],
        "torch": torch.get_rng_state(),
        "cuda": gpus,
    }


def set_random_states(states: State) -> None:
    """Undo every draw since these were taken; on another number of GPUs, theirs stay as they are."""
    version, words, spare = states["python"]
    random.setstate((version, tuple(words.tolist()), spare))
    kind, numbers, *more = states["numpy"]
    np.random.set_state((kind, numbers.numpy().astype(np.uint32), *more))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def _gathered(results: dict[str, _ResultMetric]) -> Iterator[State]:
    """What Lightning has gathered of each logged value in this epoch."""
    for key, result in results.items():
        if result.has_reset:
            continue
        meta = result.meta
        yield {
            "key": key,
            "meta": {name: getattr(meta, name) for name in LOGGED},
            "reduce": meta.reduce_fx.__name__,
            "sync": [meta.sync.should, meta.sync.rank_zero_only],
            "is_tensor": result.is_tensor,
            "values": {name: getattr(result, name) for name in result._defaults},
            "latest": result._forward_cache,
            "count": result._update_count,
        }


def _value(kept: State, trainer: Trainer) -> _ResultMetric:
    """The object for one of these."""
    meta = _Metadata(**kept["meta"], reduce_fx=getattr(torch, kept["reduce"]))
    should, rank_zero_only = kept["sync"]
    meta.sync = _Sync(_should=should, fn=trainer.strategy.reduce, rank_zero_only=rank_zero_only)
    result = _ResultMetric(meta, kept["is_tensor"])
    if not kept["is_tensor"]:
        result.value = trainer.lightning_module.get_submodule(kept["meta"]["metric_attribute"])
    vars(result).update(kept["values"], _forward_cache=kept["latest"], _update_count=kept["count"])
    return result.to(trainer.lightning_module.device)


def _metric_states(task: LightningModule) -> dict[str, list[Any]]:
    """Of each metric that has gathered something: its values and how often it was updated."""
    return {
        name: [{state: getattr(metric, state) for state in metric._defaults}, metric._update_count]
        for name, metric in task.named_modules()
        if isinstance(metric, Metric) and metric._update_count
    }
