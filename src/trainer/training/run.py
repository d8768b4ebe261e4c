"""One run: build what the config names, train it, test the best of it, and write down how it went."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from trainer.artifacts.checkpoint_metadata import SelfContained, best
from trainer.artifacts.console_summary import announce, log_hyperparameters, report
from trainer.artifacts.data_checksum import facts_of
from trainer.artifacts.logger_lifecycle import ended
from trainer.artifacts.run_directory import RunDirectory
from trainer.artifacts.training_outcome import Monitors, outcome
from trainer.core.signals import interruptible
from trainer.core.warning_filters import quieten
from trainer.task.gradient_accumulation import divide_by_batches
from trainer.training.build import build, build_all, build_net, build_objective, build_trainer, without_unasked
from trainer.training.distributed.job import process_restored
from trainer.training.distributed.launch import execute_in_all, world_of
from trainer.training.preflight.check import check
from trainer.training.thread_count import threads_for


def run(config: DictConfig) -> Any:
    """Check the config, train and test as it says, and leave `result.json` behind, however that ends.

    Returns:
        The metric named by `optimized_metric`, for sweeps that search; a list for a list, None where none is named.

    Raises:
        UserError: Something the user can mend.
    """
    hydra = HydraConfig.get()
    directory = RunDirectory(Path(hydra.runtime.output_dir))
    with interruptible(), directory.session() as result:
        quieten()
        work, world = check(config), world_of(config)
        with threads_for(work, world.local):
            if directory.begin(config, hydra.overrides.task, result):
                alone = world.size == 1
                result |= execute(config, directory) if alone else execute_in_all(execute, directory, world)
    report(result, directory.path)
    found, metric = result["metrics"].get, config.optimized_metric
    return found(metric) if isinstance(metric, str | None) else [found(name) for name in metric]


@process_restored()
def execute(config: DictConfig, directory: RunDirectory) -> dict[str, Any]:
    """Train and test in one process; its loggers are finished afterwards, so that the next job gets new ones.

    Returns:
        See `train_and_test`.
    """
    with ended(build_all(config, "logger")) as loggers:
        return train_and_test(config, directory, loggers)


def train_and_test(config: DictConfig, directory: RunDirectory, loggers: Any) -> dict[str, Any]:
    """Build, train and test; return what `result.json` says of it: metrics by name, steps, checkpoint and so on."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build(config, "data")
    net = build_net(config, data.spec)
    if config.compile:
        net.compile()
    objective, config = build_objective(config, data.spec)
    task = build(config, "model.task", net, objective, build(config, "optimizer"), build(config, "scheduler"))
    callbacks = build_all(config, "callbacks")
    trainer = build_trainer(
        config,
        callbacks=[*callbacks, SelfContained(directory), Monitors()],
        logger=loggers,
        default_root_dir=str(directory.path),
        **without_unasked(config, callbacks),
    )
    divide_by_batches(trainer)
    announce(data.spec, net, trainer, directory)

    metrics: dict[str, float] = {}
    checkpoint = directory.checkpoint or config.ckpt_path
    if config.train:
        trainer.fit(task, data, ckpt_path=checkpoint)
        checkpoint, score = best(trainer)
        metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()} | score
    steps, epochs = trainer.global_step, trainer.current_epoch
    if config.test:
        trainer.test(task, data, ckpt_path=checkpoint, verbose=False)
        metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
    log_hyperparameters(trainer, directory.path, metrics)
    return {
        "metrics": metrics,
        "steps": steps,
        "epochs": epochs,
        "checkpoint": checkpoint,
        **facts_of(data),
        **outcome(trainer),
    }
