"""Columns, regions of images or words that a trained network uses."""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer

from trainer.artifacts.attribution_file import write_attribution
from trainer.callbacks.plots.attributions import (
    Attributions,
    TrainedNetwork,
    attribute_columns,
    attribute_regions,
    attribute_words,
)
from trainer.callbacks.plots.media import can_log_media, log_image, log_table
from trainer.core.callback import Callback, unchanged_state
from trainer.core.errors import UserError
from trainer.core.formatting import format_number
from trainer.core.spec import AXES, Batch, PositiveInt
from trainer.data.base import TensorData
from trainer.data.preprocessing.text import TextPreprocessing
from trainer.data.text_base import TextData
from trainer.inference.attribution.image_regions import require_layer
from trainer.inference.attribution.permutation_importance import choose_metric
from trainer.task.supervised import Supervised

log = logging.getLogger(__name__)

CONFIG_KEY = "callbacks.attribution"
MAX_TABLE_ROWS = 50  # of the table in TensorBoard


class Attribution(Callback):
    """Show after the test which inputs the tested network uses, as `test/attribution`.

    - Tables: permutation importance, the decrease of a metric if the cells of a column are permuted.
    - Images: Grad-CAM for convolutional networks, else integrated gradients, for some images.
    - Texts: the decrease of the predicted class's probability if a word is replaced by the unknown token.

    Importances of columns and words are also written to `attribution.csv` in the run directory. The images and texts
    are spread evenly over the split.

    Args:
        split: `"test"`, or `"val"` for the validation examples.
        examples: Number of images or texts.
        layer: Name of the network's layer for Grad-CAM. None: the last convolution, see `find_layer`.
        metric: Metric of the objective for tables, or `"loss"`. None: the first one of the objective.
        repeats: Number of permutations of each column.
        max_rows: Largest number of rows of a table; the first ones are used.
        seed: Seed of the permutations.

    Raises:
        UserError: Before the run: data or model have no such method, or the metric or the layer is unknown.
    """

    affects_training = False

    def __init__(
        self,
        *,
        split: Literal["test", "val"] = "test",
        examples: PositiveInt = 8,
        layer: str | None = None,
        metric: str | None = None,
        repeats: PositiveInt = 10,
        max_rows: PositiveInt = 10_000,
        seed: int = 1,
    ) -> None:
        self.split = split
        self.examples = examples
        self.layer = layer
        self.metric = metric
        self.repeats = repeats
        self.max_rows = max_rows
        self.seed = seed
        self._is_checked = False
        self._example_counts: Counter[int] = Counter()  # number of images or texts by batch index
        self._missing_rows = 0  # of a table
        self._collected: list[Batch] = []

    def check(self, task: LightningModule, data: LightningDataModule) -> None:
        """Check that there is a method for the data and the task.

        Raises:
            UserError: There is none, or a setting does not fit.
        """
        hint = f"\n  to remove it: ~{CONFIG_KEY}"
        if not isinstance(task, Supervised):
            expected = "expected a model with one network and an objective, such as mlp"
            raise UserError(f"{CONFIG_KEY}: no method for {type(task).__name__}; {expected}{hint}")
        spec = task.objective.spec
        if spec.kind == "sequence":
            problem = f"no method for sequences such as those of data '{spec.name}'"
            raise UserError(f"{CONFIG_KEY}: {problem}; expected a table, images or texts{hint}")
        if spec.kind == "tokens" and not isinstance(data, TextData):
            problem = f"no method for texts of {type(data).__name__}, whose unknown token is not known"
            raise UserError(f"{CONFIG_KEY}: {problem}; expected data=texts or data=imdb{hint}")
        if self.split == "val" and not isinstance(data, TensorData):
            raise UserError(f"{CONFIG_KEY}.split: val is not available for {type(data).__name__}; expected test")
        for name, kind in {"metric": "vector", "layer": "image"}.items():
            if getattr(self, name) is not None and spec.kind != kind:
                problem = f"has no effect on data '{spec.name}' with {AXES[spec.kind].split()[0]}; expected null"
                raise UserError(f"{CONFIG_KEY}.{name}: {problem}")
        if spec.kind == "vector":
            choose_metric(task.objective, self.metric, f"{CONFIG_KEY}.metric")
        if self.layer is not None:
            require_layer(task.net, self.layer, spec.shape, f"{CONFIG_KEY}.layer")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._is_checked:
            return
        self._is_checked = True
        self.check(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        if trainer.world_size > 1:
            hint = "or add the callback after the run: trainer test RUN +callbacks=attribution trainer.devices=1"
            raise UserError(f"{CONFIG_KEY}: only works in a single process; set trainer.devices=1\n  {hint}")
        assert isinstance(pl_module, Supervised)
        if pl_module.objective.spec.kind == "image" and not can_log_media(trainer):
            log.warning(f"warning: {CONFIG_KEY}: no logger stores its images; to add one: +logger=tensorboard")

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._prepare(trainer.num_test_batches[0])

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.split == "test" and dataloader_idx == 0:
            assert isinstance(pl_module, Supervised)
            self._collect(pl_module, batch, batch_idx)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Supervised)
        if self.split == "val":
            self._collect_validation_examples(trainer, pl_module)
        if self._collected:
            precision = trainer.precision_plugin.forward_context()
            # outside of the inference mode of a test, whose tensors cannot be used for gradients
            with torch.inference_mode(False), torch.no_grad(), unchanged_state(pl_module), precision:
                result = self._compute(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
            tag = f"{self.split}/attribution"
            log_image(lambda: result.image, tag, trainer)
            if result.rows:
                log_table(result.header, format_rows(result.rows[:MAX_TABLE_ROWS]), tag, trainer)
                write_attribution(Path(trainer.default_root_dir), result.header, result.rows)
        self._collected = []

    def _prepare(self, batches: float) -> None:
        """Select the examples of a split with a number of batches, which is infinite if it is not known."""
        batches = int(batches) if math.isfinite(batches) else 1
        self._collected = []
        self._missing_rows = self.max_rows
        self._example_counts = Counter(index * batches // self.examples for index in range(self.examples))

    def _collect(self, task: Supervised, batch: Batch, index: int) -> None:
        """Store the selected examples of a batch."""
        inputs, targets = batch
        if task.objective.spec.kind == "vector":
            rows = torch.arange(min(self._missing_rows, len(targets)))
            self._missing_rows -= len(rows)
        else:
            count = min(self._example_counts[index], len(targets))
            rows = torch.arange(count) * len(targets) // max(count, 1)
        if len(rows):
            rows = rows.to(targets.device)
            self._collected.append((inputs[rows], targets[rows]))

    def _collect_validation_examples(self, trainer: Trainer, task: Supervised) -> None:
        data: TensorData = trainer.datamodule  # type: ignore[attr-defined]
        loader = data.val_dataloader()
        self._prepare(len(loader))
        for index, batch in enumerate(loader):
            self._collect(task, trainer.strategy.batch_to_device(batch, dataloader_idx=0), index)

    def _compute(self, task: Supervised, data: Any) -> Attributions:
        network = TrainedNetwork(task.net, task, task.objective)
        preprocessing = getattr(data, "preprocessing", None)
        inputs, targets = zip(*self._collected, strict=True)
        if task.objective.spec.kind == "tokens":
            assert isinstance(preprocessing, TextPreprocessing)
            return attribute_words(
                network, preprocessing, [text for batch in inputs for text in batch], torch.cat(targets)
            )
        if task.objective.spec.kind == "image":
            return attribute_regions(network, torch.cat(inputs), torch.cat(targets), self.layer)
        return attribute_columns(
            network,
            preprocessing,
            torch.cat(inputs),
            torch.cat(targets),
            metric=choose_metric(task.objective, self.metric, f"{CONFIG_KEY}.metric"),
            repeats=self.repeats,
            seed=self.seed,
        )


def format_rows(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return the cells of a table as text."""
    return [[format_number(cell) if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
