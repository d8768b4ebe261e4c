"""TensorData: the base of every data set; loads, checks the promise, gives out batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytorch_lightning import LightningDataModule
from torch import Tensor

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.core.target_scale import TargetScale
from trainer.data import spec_check
from trainer.data.loading.counter_rng import Draws
from trainer.data.loading.device_placement import loader_near
from trainer.data.loading.split import Split, Stage
from trainer.data.loading.tensor_loader import TensorLoader
from trainer.data.preprocessing.base import Preprocessing


class TensorData(LightningDataModule, ABC):
    """Data held as tensors. A subclass gives `spec` and `load`, and may give `read`, `prepare` and `augment`.

    Args:
        batch_size: Training examples a step, in each process.
        eval_batch_size: Examples at a time in validation and test; changes speed and memory, not results.
        seed: Of the order of training examples and of augmentation; conf/data takes the run's seed.
        repeats: How often an epoch goes through the training examples, for sets of a few that make an epoch too short.
    """

    preprocessing: Preprocessing | None = None  # goes into the checkpoint; with it a prediction reads a user's files
    standardize_target = True  # of values: the network learns them with mean 0 and standard deviation 1

    def __init__(self, *, batch_size: int, eval_batch_size: int = 1024, seed: int = 0, repeats: int = 1) -> None:
        super().__init__()
        if min(batch_size, eval_batch_size, repeats) < 1:
            raise UserError("data.batch_size, data.eval_batch_size and data.repeats: must be at least 1")
        self.batch_size, self.eval_batch_size, self.seed, self.repeats = batch_size, eval_batch_size, seed, repeats
        self.splits: Mapping[Stage, Split] = {}
        self._train: TensorLoader | None = None
        self._checksum = ""  # found out when it is first asked for
        self._epochs_begun = 0  # before the checkpoint that this run goes on from

    @property
    @abstractmethod
    def spec(self) -> DataSpec:
        """The promise, made from constructor arguments alone."""

    @abstractmethod
    def load(self) -> dict[Stage, Split]:
        """Read, download or make the data, and split it; called once."""

    def read(self, stored: Sequence[Tensor]) -> Iterable[Tensor]:
        """Fetch what stored inputs only name, as numbers do files: of many batches, one after the other."""
        return stored

    def prepare(self, inputs: Tensor) -> Tensor:
        """Make stored inputs into what the network takes, on their device: (batch, ...) -> (batch, *spec.shape)."""
        return self.preprocessing.prepare(inputs) if self.preprocessing else inputs

    def augment(self, inputs: Tensor, random: Draws) -> Tensor:
        """Change a batch of prepared training inputs at random; every random number comes from `random`."""
        return inputs

    def lengths(self, inputs: Tensor) -> Tensor | None:
        """How long each stored input is (examples,), where that differs; batches are then of like length."""
        return None

    def setup(self, stage: str) -> None:
        if not self.splits:
            splits = self.load()
            for name, split in splits.items():
                spec_check.check(self.spec, name, split, self.prepare(next(iter(self.read([split.inputs[:1]])))))
            self.splits = splits

    @property
    def target_scale(self) -> TargetScale | None:
        """Mean and standard deviation of the training targets, known after `setup`; None if they stay as they are."""
        is_scaled = self.spec.target == "values" and self.standardize_target
        return TargetScale.of(self.splits["train"].targets) if is_scaled else None

    def checksum(self) -> str:
        """SHA-256 over the examples of all splits, in order: equal when two runs saw the same data."""
        self._checksum = self._checksum or spec_check.checksum(self.splits)
        return self._checksum

    def train_dataloader(self) -> TensorLoader:
        overfits = bool(getattr(self.trainer, "overfit_batches", 0))  # then the batches must stay the same
        done, self._train = self.state_dict()["epochs_begun"], self._loader("train", shuffle=not overfits)
        # Lightning gives a loader its state back only inside an epoch; between two, this says which comes next
        self._train.epoch = done
        return self._train

    def val_dataloader(self) -> TensorLoader:
        return self._loader("val")

    def test_dataloader(self) -> TensorLoader:
        return self._loader("test")

    def state_dict(self) -> dict[str, Any]:
        return {"epochs_begun": self._train.epoch + (self._train.position > 0) if self._train else self._epochs_begun}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._epochs_begun = state_dict["epochs_begun"]

    def _loader(self, stage: Stage, *, shuffle: bool = False) -> TensorLoader:
        return loader_near(
            self.splits[stage],
            self.trainer,
            batch_size=self.batch_size if stage == "train" else self.eval_batch_size,
            prepare=self.prepare,
            augment=self.augment if shuffle and type(self).augment is not TensorData.augment else None,
            read=self.read if type(self).read is not TensorData.read else None,
            shuffle=shuffle,
            lengths=self.lengths(self.splits[stage].inputs),
            repeats=self.repeats if stage == "train" else 1,
            even=stage == "train",
            seed=self.seed,
        )
