"""Checks of settings that are valid separately but contradict each other or have no effect together."""

from collections.abc import Iterator
from pkgutil import resolve_name
from typing import Any

from pytorch_lightning.callbacks import Checkpoint

from trainer.config.diagnostics import Diagnostic
from trainer.core.metric_direction import infer_direction
from trainer.model.ensemble import Ensemble
from trainer.task.adversarial import Adversarial

# arguments of Lightning's Trainer that a run sets itself, and the settings to use instead
RUN_MANAGED_ARGUMENTS = {
    "callbacks": "choose or add one: callbacks=[default,NAME], +callbacks.NAME._target_=...",
    "logger": "choose or add one: logger=[tensorboard,NAME], +logger.NAME._target_=...",
    "default_root_dir": "hydra.run.dir=DIRECTORY",
}


def check_consistency(values: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for each contradiction, and a warning for each setting that takes effect after the last epoch.

    Args:
        values: The whole config, as plain containers.
    """
    trainer = values["trainer"]
    callbacks = values["callbacks"] or {}
    if values["train"] is True:
        yield from _check_schedule_lengths(values["scheduler"], callbacks, trainer)
        if _builds(values["model"].get("net"), Ensemble):
            hint = "train each network in its own run, then: trainer ensemble RUNS... --output=DIR"
            yield Diagnostic("model.net", "an ensemble combines trained networks, and is not trained itself", hint)
    for name, hint in RUN_MANAGED_ARGUMENTS.items():
        if name in trainer:
            yield Diagnostic(f"trainer.{name}", "has no effect: the run sets it", hint)
    if values["train"] is True and callbacks and not any(map(_is_checkpoint_callback, callbacks.values())):
        hint = "callbacks=[default,...] adds to the default callbacks"
        yield _warning("callbacks", "no checkpoint is saved, so the weights of the last step are tested", hint)
    yield from _check_gradient_clipping(trainer, callbacks, values["model"])
    yield from _check_balance(values["data"], values["objective"] or {}, trainer)
    metric = values["optimized_metric"]
    direction = (values["sweep"] or {}).get("direction")
    yield from _check_directions(metric, direction, callbacks.get("checkpoint") or {})
    for name in metric if isinstance(metric, list) else [metric]:
        if values["test"] is False and str(name).startswith("test/"):
            yield Diagnostic("optimized_metric", f"'{name}' is not measured with test=false", "test=true")
    if trainer.get("limit_val_batches") == 0 and values["train"] is True:
        nodes = {f"callbacks.{name}": node for name, node in callbacks.items()} | {"scheduler": values["scheduler"]}
        for key, node in nodes.items():
            if not _is_checkpoint_callback(node) and str((node or {}).get("monitor")).startswith("val/"):
                problem = "not logged without validation (trainer.limit_val_batches=0)"
                yield Diagnostic(f"{key}.monitor", problem, "train/loss")


def _is_checkpoint_callback(node: Any) -> bool:
    """Return True for a checkpoint callback, which does not require validation."""
    return _builds(node, Checkpoint)


def _builds(node: Any, cls: type) -> bool:
    """Return whether a node builds an object of a class; False if its target cannot be imported."""
    try:
        target = resolve_name(node["_target_"])
    except Exception:  # importing a user's module may raise anything; the check of the calls reports it
        return False
    return isinstance(target, type) and issubclass(target, cls)


def _check_balance(data: dict[str, Any], objective: dict[str, Any], trainer: dict[str, Any]) -> Iterator[Diagnostic]:
    if data.get("sampling") == objective.get("class_weights") == "balanced":
        hint = "use one of them: data.sampling=null or objective.class_weights=null"
        yield Diagnostic("objective.class_weights", "data.sampling=balanced balances the classes already", hint)
    if isinstance(objective.get("threshold"), str) and trainer.get("limit_val_batches") == 0:
        problem = "cannot be chosen without validation (trainer.limit_val_batches=0)"
        yield Diagnostic("objective.threshold", problem, "objective.threshold=0.5")


def _check_gradient_clipping(
    trainer: dict[str, Any], callbacks: dict[str, Any], model: dict[str, Any]
) -> Iterator[Diagnostic]:
    if not trainer.get("gradient_clip_val"):
        if trainer.get("gradient_clip_algorithm"):
            problem = "has no effect without trainer.gradient_clip_val"
            yield Diagnostic("trainer.gradient_clip_algorithm", problem, "+trainer.gradient_clip_val=1.0")
        return
    if "gradient_clipping" in callbacks:
        hint = "remove one of them: ~trainer.gradient_clip_val"
        yield Diagnostic("trainer.gradient_clip_val", "callbacks.gradient_clipping clips already", hint)
    if _builds(model, Adversarial):
        hint = "'callbacks=[default,gradient_clipping]' clips each network"
        yield Diagnostic("trainer.gradient_clip_val", "Lightning cannot clip a task with two optimizers", hint)


def _check_directions(metric: Any, direction: Any, checkpoint: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error if `sweep.direction` contradicts the mode of the checkpoint, a warning if it fits no metric."""
    metrics, directions = (value if isinstance(value, list) else [value] for value in (metric, direction))
    for name, chosen in zip(metrics, directions, strict=False):
        if name is None or chosen not in ("min", "max"):
            continue
        mode = checkpoint.get("mode") if name == f"{checkpoint.get('monitor')}_best" else None
        if mode in ("min", "max") and mode != chosen:
            problem = f"{chosen} contradicts callbacks.checkpoint.mode={mode}, by which '{name}' is chosen"
            yield Diagnostic("sweep.direction", problem, f"expected {mode}")
        elif infer_direction(str(name)) not in (None, chosen):
            yield _warning("sweep.direction", f"{chosen} looks for the worst '{name}'", "leave it out for the best")


def _check_schedule_lengths(
    scheduler: dict[str, Any], callbacks: dict[str, Any], trainer: dict[str, Any]
) -> Iterator[Diagnostic]:
    """Yield warnings only, as a short trial of a long training is valid."""
    epochs = trainer.get("max_epochs")
    steps = trainer.get("max_steps", -1)
    if type(steps) is int and 0 < steps <= _as_number(scheduler.get("warmup_steps")):
        yield _warning("scheduler.warmup_steps", "the training ends before the warmup", f"expected below {steps}")
    if type(epochs) is not int or epochs < 1 or trainer.get("fast_dev_run"):
        return
    patience = (callbacks.get("early_stopping") or {}).get("patience")
    swa_start = (callbacks.get("swa") or {}).get("start_epoch")
    for key, delay, effect in (
        ("scheduler.every_n_epochs", scheduler.get("every_n_epochs"), "the learning rate never changes"),
        ("scheduler.patience", scheduler.get("patience"), "the learning rate never changes"),
        ("callbacks.early_stopping.patience", patience, "the training never stops early"),
        ("callbacks.swa.start_epoch", swa_start, "no weights are averaged"),
    ):
        if epochs <= _as_number(delay):
            yield _warning(key, f"in {epochs} epochs {effect}", f"expected below {epochs}")
    for start in (callbacks.get("unfreezing") or {}).get("stages") or ():
        if epochs <= _as_number(start):
            yield _warning("callbacks.unfreezing.stages", f"stage {start} never starts in {epochs} epochs", "")


def _as_number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else -1


def _warning(key: str, problem: str, hint: str) -> Diagnostic:
    return Diagnostic(key, problem, hint, is_error=False)
