"""Plan: settings that are right one by one, and together make no sense, or less than they promise."""

from collections.abc import Iterator
from typing import Any

from trainer.config.diagnostics import Mistake
from trainer.core.metric_direction import direction_of

# arguments of Lightning's Trainer that are made from other keys of the config, and which
SET_BY_RUN = {
    "callbacks": "choose or add one: callbacks=[default,NAME], +callbacks.NAME._target_=...",
    "logger": "choose or add one: logger=[tensorboard,NAME], +logger.NAME._target_=...",
    "default_root_dir": "hydra.run.dir=DIRECTORY",
}


def mistakes_of_plan(values: dict[str, Any]) -> Iterator[Mistake]:
    """Settings that contradict one another, and waits that are longer than the training.

    Args:
        values: The whole config, as plain containers.
    """
    trainer, callbacks = values["trainer"], values["callbacks"] or {}
    if values["train"] is True:
        yield from _too_long(values["scheduler"], callbacks, trainer)
    for name, instead in SET_BY_RUN.items():
        if name in trainer:
            yield Mistake(f"trainer.{name}", "has no effect: the run sets it", instead)
    if values["train"] is True and callbacks and not any(_keeps(node) for node in callbacks.values()):
        offer = "callbacks=[default,...] adds to the default callbacks"
        yield _warning("callbacks", "no checkpoint is kept, and the last weights are tested", offer)
    if trainer.get("gradient_clip_algorithm") and not trainer.get("gradient_clip_val"):
        yield Mistake(
            "trainer.gradient_clip_algorithm", "has no effect without a bound", "+trainer.gradient_clip_val=1.0"
        )
    if trainer.get("gradient_clip_val") and "gradient_clipping" in callbacks:
        offer = "leave one of them out: ~trainer.gradient_clip_val"
        yield Mistake("trainer.gradient_clip_val", "callbacks.gradient_clipping clips already", offer)
    if trainer.get("gradient_clip_val") and str(values["model"].get("task", {}).get("_target_")).endswith(
        "Adversarial"
    ):
        offer = "'callbacks=[default,gradient_clipping]' clips each network"
        yield Mistake("trainer.gradient_clip_val", "Lightning cannot clip two networks that take turns", offer)
    metric, direction = values["optimized_metric"], (values["sweep"] or {}).get("direction")
    yield from _directions(metric, direction, callbacks.get("checkpoint") or {})
    for name in metric if isinstance(metric, list) else [metric]:
        if values["test"] is False and str(name).startswith("test/"):
            yield Mistake("optimized_metric", f"'{name}' is measured by the test, and test=false", "test=true")
    if trainer.get("limit_val_batches") == 0 and values["train"] is True:
        for name, node in callbacks.items():
            if not _keeps(node) and str((node or {}).get("monitor")).startswith("val/"):
                key = f"callbacks.{name}.monitor"
                yield Mistake(key, "without validation (trainer.limit_val_batches=0) nobody logs it", "train/loss")


def _keeps(node: Any) -> bool:
    """Whether a callback keeps checkpoints; it makes do without validation."""
    return "Checkpoint" in str((node or {}).get("_target_"))


def _directions(metric: Any, direction: Any, checkpoint: dict[str, Any]) -> Iterator[Mistake]:
    """Yield what contradicts a `sweep.direction`: how the best epoch is chosen, and as a warning the metric itself."""
    metrics, directions = (each if isinstance(each, list) else [each] for each in (metric, direction))
    for name, chosen in zip(metrics, directions, strict=False):
        if name is None or chosen not in ("min", "max"):
            continue
        mode = checkpoint.get("mode") if name == f"{checkpoint.get('monitor')}_best" else None
        if mode in ("min", "max") and mode != chosen:
            problem = f"{chosen} contradicts callbacks.checkpoint.mode={mode}, by which '{name}' is chosen"
            yield Mistake("sweep.direction", problem, f"expected {mode}")
        elif direction_of(str(name)) not in (None, chosen):
            yield _warning("sweep.direction", f"{chosen} looks for the worst '{name}'", "leave it out for the best")


def _too_long(scheduler: dict[str, Any], callbacks: dict[str, Any], trainer: dict[str, Any]) -> Iterator[Mistake]:
    """Warnings of what would begin after the end; a short try of a long recipe is no mistake."""
    epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps", -1)
    if type(steps) is int and 0 < steps <= _number(scheduler.get("warmup_steps")):
        yield _warning("scheduler.warmup_steps", "the training ends before the rise does", f"below {steps}")
    if type(epochs) is not int or epochs < 1 or trainer.get("fast_dev_run"):
        return
    for key, wait, what in (
        ("scheduler.every_epochs", scheduler.get("every_epochs"), "the rate never changes"),
        ("scheduler.patience", scheduler.get("patience"), "the rate never changes"),
        (
            "callbacks.early_stopping.patience",
            (callbacks.get("early_stopping") or {}).get("patience"),
            "it never stops",
        ),
    ):
        if epochs <= _number(wait):
            yield _warning(key, f"in {epochs} epochs {what}", f"below {epochs}")
    for after in (callbacks.get("unfreezing") or {}).get("stages") or ():
        if epochs <= _number(after):
            yield _warning("callbacks.unfreezing.stages", f"stage {after} never begins in {epochs} epochs", "")


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else -1


def _warning(key: str, problem: str, instead: str) -> Mistake:
    return Mistake(key, problem, instead, stops=False)
