"""Data module with ordinary `DataLoader`s, in all forms that PyTorch allows."""

import random

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Sampler, WeightedRandomSampler

EXAMPLES = 60


class NoisyPoints(Dataset):
    """Points with noise from the global random generators of PyTorch, NumPy and Python."""

    loads = 0

    def __len__(self):
        return EXAMPLES

    def __getitem__(self, index):
        type(self).loads += 1
        noise = torch.rand(2) + float(np.random.rand()) + random.random()
        return torch.tensor([index / EXAMPLES, index % 7 / 7]) + 0.1 * noise, index % 2


class PointStream(IterableDataset):
    """The same points without an index."""

    def __len__(self):
        return EXAMPLES

    def __iter__(self):
        return map(NoisyPoints().__getitem__, range(EXAMPLES))


class GlobalNumpySampler(Sampler):
    """Order from NumPy's global generator."""

    def __len__(self):
        return EXAMPLES

    def __iter__(self):
        return iter(np.random.permutation(EXAMPLES).tolist())


class OwnGeneratorSampler(GlobalNumpySampler):
    """Order from a generator of its own, whose state changes from epoch to epoch."""

    def __init__(self):
        self.random = np.random.default_rng(5)

    def __iter__(self):
        return iter(self.random.permutation(EXAMPLES).tolist())


class CounterSampler(GlobalNumpySampler):
    """Order from the number of its passes."""

    def __init__(self):
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return iter(np.random.default_rng(self.passes).permutation(EXAMPLES).tolist())


class HiddenCounterSampler(GlobalNumpySampler):
    """Order from the number of passes in this process, which no checkpoint contains."""

    passes = 0

    def __iter__(self):
        type(self).passes += 1
        return iter(np.random.default_rng(type(self).passes).permutation(EXAMPLES).tolist())


class RandomBatches(BatchSampler):
    """Batches of a random size."""

    def __init__(self):
        super().__init__(range(EXAMPLES), 6, drop_last=False)

    def __len__(self):
        return 10

    def __iter__(self):
        for _ in range(10):
            yield [random.randrange(EXAMPLES) for _ in range(random.randrange(2, 6))]


class OwnIteration(DataLoader):
    """Loader with its own iteration."""

    def __iter__(self):
        return super().__iter__()


LOADERS = {
    "shuffled": lambda **options: DataLoader(NoisyPoints(), 8, shuffle=True, **options),
    "ordered": lambda **options: DataLoader(NoisyPoints(), 8, drop_last=True, **options),
    "with a generator": lambda **options: DataLoader(
        NoisyPoints(), 8, shuffle=True, generator=torch.Generator().manual_seed(3), **options
    ),
    "weighted": lambda **options: DataLoader(
        NoisyPoints(), 8, sampler=WeightedRandomSampler([1.0] * 30 + [2.0] * 30, EXAMPLES), **options
    ),
    "sampler with NumPy's generator": lambda **options: DataLoader(
        NoisyPoints(), 8, sampler=GlobalNumpySampler(), **options
    ),
    "sampler with its own generator": lambda **options: DataLoader(
        NoisyPoints(), 8, sampler=OwnGeneratorSampler(), **options
    ),
    "sampler with a counter": lambda **options: DataLoader(NoisyPoints(), 8, sampler=CounterSampler(), **options),
    "batch sampler": lambda **options: DataLoader(NoisyPoints(), batch_sampler=RandomBatches(), **options),
    "single examples": lambda **options: DataLoader(NoisyPoints(), batch_size=None, shuffle=True, **options),
    "two loaders": lambda **options: {
        "long": DataLoader(NoisyPoints(), 6, shuffle=True, **options),
        "short": DataLoader(NoisyPoints(), 20, shuffle=True, **options),
    },
    "persistent": lambda **options: DataLoader(
        NoisyPoints(), 8, shuffle=True, persistent_workers=options["num_workers"] > 0, **options
    ),
    "stream": lambda **options: DataLoader(PointStream(), 8, **options),
    "own iteration": lambda **options: OwnIteration(NoisyPoints(), 8, **options),
    "sampler with a hidden counter": lambda **options: DataLoader(
        NoisyPoints(), 8, sampler=HiddenCounterSampler(), **options
    ),
}


class Classifier(LightningModule):
    """Linear layer with dropout; a batch may be a dictionary of batches or a single example."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Dropout(0.2), nn.Linear(2, 1))

    def training_step(self, batch):
        batches = batch.values() if isinstance(batch, dict) else [batch]
        losses = [self.compute_loss(inputs, targets) for inputs, targets in batches]
        self.log("train/loss", sum(losses))
        return sum(losses)

    def validation_step(self, batch):
        self.log("val/loss", self.compute_loss(*batch))

    def test_step(self, batch):
        self.log("test/loss", self.compute_loss(*batch))

    def predict_step(self, batch):
        inputs, _ = batch
        return self.net(inputs)[:, 0].sigmoid()

    def compute_loss(self, inputs, targets):
        targets = torch.as_tensor(targets).float().flatten()
        return binary_cross_entropy_with_logits(self.net(inputs.view(-1, 2))[:, 0], targets)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class Accumulating(Classifier):
    """Manual optimization with a step for every second batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        self.manual_backward(super().training_step(batch))
        if batch_idx % 2 == 1:
            self.optimizers().step()
            self.optimizers().zero_grad()


class Loaders(LightningDataModule):
    """Two-dimensional points in two classes.

    Args:
        kind: Key of `LOADERS`. Defaults to a shuffled `DataLoader`.
        num_workers: Worker processes of the training loader. Defaults to 0.
    """

    def __init__(self, kind="shuffled", num_workers=0):
        super().__init__()
        self.kind = kind
        self.num_workers = num_workers

    def train_dataloader(self):
        return LOADERS[self.kind](num_workers=self.num_workers)

    def val_dataloader(self):
        return DataLoader(NoisyPoints(), 30)

    def test_dataloader(self):
        return DataLoader(NoisyPoints(), 30)


class PredictLoaders(Loaders):
    """Data module with examples for predictions, set up for them alone."""

    def setup(self, stage):
        self.predict_points = [torch.rand(2) for _ in range(5)] if stage == "predict" else []

    def predict_dataloader(self):
        return DataLoader(self.predict_points, 2)


class TwoPredictLoaders(PredictLoaders):
    """Two loaders for predictions."""

    def predict_dataloader(self):
        return [DataLoader([torch.rand(2)] * size, 2) for size in (3, 1)]


class TrainOnly(LightningDataModule):
    """Data module without examples for test or prediction."""

    def train_dataloader(self):
        return DataLoader(NoisyPoints(), 8)

    val_dataloader = train_dataloader


class NamedPredictions(Classifier):
    """Predictions of several names and forms."""

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        logits = self.net(batch)
        return {"class": ["even"] * len(batch), "scores": logits.sigmoid().repeat(1, 2), "logit": logits[:, 0].double()}


class ImagePredictions(Classifier):
    """Predictions of several dimensions."""

    def predict_step(self, batch):
        return torch.zeros(len(batch), 2, 2)


class NoPredictions(Classifier):
    """Module without predictions."""

    predict_step = LightningModule.predict_step
