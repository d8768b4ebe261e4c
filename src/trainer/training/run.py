"""Run of a config, which builds the objects, trains, tests the best checkpoint and writes the result."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from trainer.artifacts.checkpoint_metadata import CheckpointMetadata, find_best_checkpoint
from trainer.artifacts.console_summary import log_hyperparameters, log_run_start, print_results
from trainer.artifacts.data_checksum import describe_data
from trainer.artifacts.logger_lifecycle import closing_loggers
from trainer.artifacts.network_summary import describe_network
from trainer.artifacts.phase_times import PhaseTimes
from trainer.artifacts.rejected_run import removed_if_rejected
from trainer.artifacts.run_directory import RunDirectory
from trainer.artifacts.split_summary import SplitSummary
from trainer.artifacts.training_outcome import TrainingOutcome, read_training_outcome
from trainer.config.environment_values import list_secrets
from trainer.core.errors import attach_result
from trainer.core.signals import interruptible, shutdown
from trainer.core.spec import find_spec
from trainer.core.warning_filters import install_warning_filters
from trainer.data.loading.resumable_loader import install_resumable_loaders
from trainer.task.gradient_accumulation import install_loss_scaling
from trainer.task.objective_lookup import describe_threshold
from trainer.training.build import (
    add_inferred_settings,
    build_all,
    build_callbacks,
    build_data,
    build_trainer,
    disable_default_callbacks,
)
from trainer.training.build_module import build_module, build_parts, resolve_modes
from trainer.training.collected_outputs import CollectedOutputs
from trainer.training.distributed.job import process_restored
from trainer.training.distributed.launch import execute_on_all_ranks, resolve_world
from trainer.training.interruption import InterruptionPoints, attribute_to_signal
from trainer.training.preflight.check import validate_config
from trainer.training.stages import find_test_obstacle
from trainer.training.thread_count import thread_limit
from trainer.training.uncertainty import record_test


def run(config: DictConfig) -> Any:
    """Validate the config, train, test, and write `result.json`, also after a failure.

    Returns:
        The metric named by `optimized_metric`, for search algorithms; a list for a list, None if it is not set.

    Raises:
        UserError: An error that the user can fix.
    """
    hydra = HydraConfig.get()
    directory = RunDirectory(Path(hydra.runtime.output_dir))
    with (
        interruptible(),
        removed_if_rejected(directory.path) as accept,
        directory.session() as result,
        attribute_to_signal(),
    ):
        directory.secrets = list_secrets(config)
        install_warning_filters()
        multiplications = validate_config(config)
        accept()
        shutdown.raise_if_due()
        config = add_inferred_settings(config)
        world = resolve_world(config)
        with thread_limit(multiplications, world.local):
            if directory.prepare(config, hydra.overrides.task, result):
                if world.size == 1:
                    result |= execute(config, directory)
                else:
                    result |= execute_on_all_ranks(execute, directory, world)
        shutdown.raise_if_due()
    print_results(result, directory.path, is_sweep_job=hydra.mode == RunMode.MULTIRUN)
    metrics = result["metrics"]
    names = config.optimized_metric
    return metrics.get(names) if isinstance(names, str | None) else [metrics.get(name) for name in names]


@process_restored()
def execute(config: DictConfig, directory: RunDirectory) -> dict[str, Any]:
    """Return the result of `train_and_test`; close the loggers afterwards, so that the next job gets new ones."""
    with closing_loggers(build_all(config, "logger")) as loggers:
        return train_and_test(config, directory, loggers)


def train_and_test(config: DictConfig, directory: RunDirectory, loggers: Any) -> dict[str, Any]:
    """Build, train and test; return the entries of `result.json`: metrics by name, steps, checkpoint and so on."""
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    parts = build_parts(config, find_spec(data))
    if config.compile:  # preflight requires a network for it
        parts["net"].compile()
    config = resolve_modes(config, parts)
    task = build_module(config, parts)
    callbacks = build_callbacks(config)
    times = PhaseTimes()
    own_callbacks = [SplitSummary(), TrainingOutcome(), InterruptionPoints(), times]
    outputs = CollectedOutputs()
    trainer = build_trainer(
        config,
        callbacks=[*callbacks, CheckpointMetadata(directory), *own_callbacks, outputs],
        logger=loggers,
        default_root_dir=str(directory.path),
        **disable_default_callbacks(config, callbacks),
    )
    install_loss_scaling(trainer)
    install_resumable_loaders(trainer, config.seed)
    log_run_start(data, task, trainer, directory)
    shutdown.raise_if_due()

    metrics: dict[str, float] = {}
    checkpoint = directory.checkpoint or config.ckpt_path
    if config.train:
        trainer.fit(task, data, ckpt_path=checkpoint)
        shutdown.raise_if_due()
        checkpoint, score = find_best_checkpoint(trainer)
        metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()} | score
    result = {
        "metrics": metrics,
        "steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "checkpoint": checkpoint,
        **read_training_outcome(trainer),
    }
    if config.test and not (config.train and find_test_obstacle(task, data)):  # preflight has logged the reason
        with attach_result(result | {"state": "test_failed" if config.train else "failed"}):
            trainer.test(task, data, ckpt_path=checkpoint, verbose=False)
        metrics |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        result |= record_test(outputs, metrics, directory)
    log_hyperparameters(trainer, directory.path, metrics)
    return result | times.describe() | describe_network(task) | describe_data(data) | describe_threshold(task)
