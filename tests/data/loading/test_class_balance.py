"""Sampling in which all classes are equally frequent."""

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.datasets import Datasets
from trainer.data.digits import Digits
from trainer.data.loading.class_balance import balance_weights, find_targets, require_classes
from trainer.data.loading.resumable_loader import install_resumable_loaders

SPEC = DataSpec("points", "vector", (1,), "classification", output_size=1, class_names=("no", "yes"))


class Points(Dataset):
    """200 points with their number as input, of which 20 are of the second class."""

    targets = [0] * 180 + [1] * 20

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.tensor([float(index)]), self.targets[index]


class Recorder(pl.LightningModule):
    """Module that records the inputs of all training batches."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)
        self.inputs: list[list[float]] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.inputs.append(batch[0].flatten().tolist())
        return 0 * self.net(batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def record(directory, workers):
    """Return the inputs of the training batches of two epochs."""
    module = Recorder()
    trainer = pl.Trainer(
        max_epochs=2,
        default_root_dir=directory,
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    install_resumable_loaders(trainer, seed=7)
    data = Datasets(train=Points(), spec=SPEC, sampling="balanced", batch_size=32, num_workers=workers)
    trainer.fit(module, data)
    return module.inputs


def test_each_class_has_the_same_total_weight():
    targets = torch.tensor([0, 0, 0, 2])
    assert balance_weights(targets).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1])
    weighted = balance_weights(targets, torch.tensor([1.0, 2.0, 1.0, 7.0]))
    assert weighted.tolist() == pytest.approx([1 / 4, 2 / 4, 1 / 4, 1])


def test_a_balanced_epoch_has_equally_many_examples_of_each_class():
    data = Digits(sampling="balanced", batch_size=50)
    data.setup("fit")
    targets = data.splits["train"].targets.clone()
    targets[targets < 9] = 0  # 9 of 10 examples
    data.splits["train"] = data.splits["train"]._replace(targets=targets)
    loader = data.train_dataloader()
    counts = torch.cat([targets for _, targets in loader]).bincount(minlength=10)
    assert counts.sum() == len(targets)
    # 1,257 draws with probability 1/2: four standard deviations are 71
    assert abs(int(counts[9]) - len(targets) / 2) < 71
    first = loader.epoch_indices()
    loader.epoch += 1
    assert not torch.equal(first, loader.epoch_indices())
    again = Digits(sampling="balanced", batch_size=50)
    again.splits = data.splits
    assert torch.equal(first, again.train_dataloader().epoch_indices())


def test_validation_is_not_balanced():
    data = Digits(sampling="balanced")
    data.setup("fit")
    targets = torch.cat([targets for _, targets in data.val_dataloader()])
    assert torch.equal(targets, data.splits["val"].targets)


def test_classes_are_counted():
    data = Digits()
    data.setup("fit")
    assert data.class_counts.tolist() == [(data.splits["train"].targets == index).sum() for index in range(10)]
    assert Datasets(train=Points(), spec=SPEC).class_counts.tolist() == [180, 20]
    assert Datasets(train=[(torch.zeros(1), 0)], spec=SPEC).class_counts is None


def test_classes_of_data_sets_are_found_without_reading_examples():
    tensors = TensorDataset(torch.zeros(3, 1), torch.tensor([1, 0, 2]))
    assert find_targets(tensors).tolist() == [1, 0, 2]
    assert find_targets(Subset(tensors, [2, 0])).tolist() == [2, 1]
    assert find_targets(Subset(Points(), [0, 199])).tolist() == [0, 1]
    assert find_targets(TensorDataset(torch.zeros(3, 1), torch.rand(3))) is None
    assert find_targets([1, 2]) is None


def test_batches_are_the_same_with_and_without_worker_processes(tmp_path):
    batches = record(tmp_path, 0)
    assert record(tmp_path, 1) == record(tmp_path, 2) == batches
    first, second = batches[:7], batches[7:]
    assert first != second
    minority = sum(value >= 180 for batch in first for value in batch)
    assert abs(minority - 100) < 29  # 200 draws with probability 1/2: four standard deviations


def test_data_sets_without_classes_are_rejected():
    with pytest.raises(UserError, match=r"balanced needs the classes of data.train, but list has none\n  add an attr"):
        Datasets(train=[(torch.zeros(1), 0)], sampling="balanced")


def test_values_are_rejected():
    values = DataSpec("values", "vector", (1,), "regression", output_size=1)
    with pytest.raises(UserError, match=r"^data.sampling: data 'values' has values, not classes; expected null$"):
        require_classes(values, "balanced")
    with pytest.raises(UserError, match=r"^data.sampling: 'equal' is invalid; expected balanced or null$"):
        require_classes(SPEC, "equal")


def test_balanced_examples_in_a_fixed_order_are_an_error():
    with pytest.raises(UserError, match=r"^data\.sampling: balanced draws examples at random; expected data\.shuffle="):
        Datasets(train=Points(), spec=SPEC, sampling="balanced", shuffle=False)
