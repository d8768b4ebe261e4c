"""Autoencoder and classifier in the style of Lightning's examples, with their data set and data module."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Images(Dataset):
    """Random images of two classes, as pairs of image and class."""

    def __init__(
        self,
        size: int = 32,
        seed: int = 0,
        path: str = None,  # noqa: RUF013  as in much public code
        device: torch.device = "cpu",
    ) -> None:
        random = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(2, (size,), generator=random)
        images = torch.randn(size, 1, 8, 8, generator=random) + self.labels.view(-1, 1, 1, 1)
        self.images = images.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[index], self.labels[index]


def make_loader(size: int = 32, batch_size: int = 8, seed: int = 0, shuffle: bool = False) -> DataLoader:
    """Return a loader of `Images`."""
    return DataLoader(Images(size, seed), batch_size=batch_size, shuffle=shuffle)


class ImagesDataModule(pl.LightningDataModule):
    """Images for all stages."""

    def __init__(self, batch_size: int = 8) -> None:
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader:
        return DataLoader(Images(48), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(Images(16, seed=1), batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(Images(16, seed=2), batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        return DataLoader(Images(16, seed=3), batch_size=self.batch_size)


class AutoEncoder(pl.LightningModule):
    """Autoencoder without a test step, with names such as `val_loss`."""

    def __init__(self, hidden_dim: int = 8, learning_rate: float = 1e-2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.encoder = nn.Sequential(nn.Linear(64, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 3))
        self.decoder = nn.Sequential(nn.Linear(3, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x.flatten(1)))

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.log("val_loss", self._loss(batch), prog_bar=True)

    def predict_step(self, batch: list[torch.Tensor], batch_idx: int, dataloader_idx: int = 0) -> torch.Tensor:
        return self(batch[0])

    def _loss(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x, _ = batch
        return F.mse_loss(self(x), x.flatten(1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)


class Backbone(nn.Module):
    """Two linear layers."""

    def __init__(self, hidden_dim: int = 16) -> None:
        super().__init__()
        self.l1 = nn.Linear(64, hidden_dim)
        self.l2 = nn.Linear(hidden_dim, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.l2(torch.relu(self.l1(x.flatten(1)))))


class BackboneClassifier(pl.LightningModule):
    """Classifier whose network is the argument `backbone`; an object of a class that the config names."""

    def __init__(self, backbone: nn.Module | None = None, learning_rate: float = 1e-2) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["backbone"])
        self.backbone = backbone or Backbone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.backbone(x)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        x, y = batch
        self.log("valid_loss", F.cross_entropy(self(x), y), on_step=True)

    def test_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        x, y = batch
        self.log("test_loss", F.cross_entropy(self(x), y))

    def configure_optimizers(self) -> tuple[list, list]:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


class TwoLoaders(pl.LightningDataModule):
    """Two validation loaders."""

    def train_dataloader(self) -> DataLoader:
        return make_loader(48, shuffle=True)

    def val_dataloader(self) -> list[DataLoader]:
        return [make_loader(16, seed=1), make_loader(8, seed=2)]

    def test_dataloader(self) -> DataLoader:
        return make_loader(16, seed=3)


class TwoLoaderClassifier(BackboneClassifier):
    """Classifier that validates on several loaders."""

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        x, y = batch
        self.log("val/loss", F.cross_entropy(self(x), y))


class SpecData(ImagesDataModule):
    """Color images with a spec, without a checksum."""

    def __init__(self, batch_size: int = 8, output_size: int = 10) -> None:
        from trainer import DataSpec

        super().__init__(batch_size)
        self.spec = DataSpec("noise", "image", (3, 32, 32), "classification", output_size)

    def _make_loader(self, size: int, seed: int) -> DataLoader:
        random = torch.Generator().manual_seed(seed)
        images = torch.randn(size, 3, 32, 32, generator=random)
        labels = torch.randint(self.spec.output_size, (size,), generator=random)
        return DataLoader(TensorDataset(images, labels), self.batch_size)

    def train_dataloader(self) -> DataLoader:
        return self._make_loader(16, 0)

    def val_dataloader(self) -> DataLoader:
        return self._make_loader(8, 1)

    def test_dataloader(self) -> DataLoader:
        return self._make_loader(8, 2)
