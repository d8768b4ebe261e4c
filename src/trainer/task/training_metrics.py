"""Metrics of training examples, which show overfitting in comparison with those of the validation."""

from typing import Any

from pytorch_lightning import LightningModule

from trainer.core.precision import widen_floats
from trainer.task.metric_accumulator import MetricAccumulator


def update_metrics(accumulator: MetricAccumulator, task: LightningModule, examples: int) -> bool:
    """Add training examples to the metrics, without augmentation and dropout, in a validation.

    Args:
        accumulator: Metrics.
        task: Task, which maps inputs to outputs.
        examples: Largest number of examples; see `TensorData.sample_training_batches`.

    Returns:
        bool: False if there are none, as of a data module of the user.
    """
    trainer = task.trainer
    data: Any = getattr(trainer, "datamodule", None)
    if not (examples and trainer.state.fn == "fit" and hasattr(data, "sample_training_batches")):
        return False
    for batch in data.sample_training_batches(examples):
        inputs, targets = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
        with trainer.precision_plugin.val_step_context():
            outputs = task(inputs)
        accumulator.update(widen_floats(outputs), widen_floats(targets))
    return True
