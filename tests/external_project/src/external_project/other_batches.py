"""Modules whose batches are single tensors, graphs, or come from an iterable data set."""

from collections.abc import Iterator

import lightning.pytorch as pl
import torch
from lightning.pytorch.core import LightningDataModule
from torch.utils.data import DataLoader, Dataset, IterableDataset


class RandomDataset(Dataset):
    """Random vectors without a target."""

    def __init__(self, size: int, length: int) -> None:
        self.data = torch.randn(length, size, generator=torch.Generator().manual_seed(0))

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.data[index]

    def __len__(self) -> int:
        return len(self.data)


class PlainData(LightningDataModule):
    """Loaders of single tensors."""

    def train_dataloader(self) -> DataLoader:
        return DataLoader(RandomDataset(8, 16), batch_size=2)

    val_dataloader = test_dataloader = train_dataloader


class PlainModel(pl.LightningModule):
    """One linear layer; all steps return dicts, and only the training loss is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> dict:
        loss = self(batch).pow(2).mean()
        self.log("train_loss", loss)
        return {"loss": loss}

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> dict:
        return {"x": self(batch).sum()}

    def test_step(self, batch: torch.Tensor, batch_idx: int) -> dict:
        return {"y": self(batch).sum()}

    def configure_optimizers(self) -> tuple[list, list]:
        optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.1)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)]


class GraphBatch:
    """Several graphs as one: features of the nodes, edges, and the graph of each node."""

    def __init__(self, x: torch.Tensor, edges: torch.Tensor, graph: torch.Tensor, y: torch.Tensor) -> None:
        self.x = x
        self.edges = edges
        self.graph = graph
        self.y = y

    def to(self, device: torch.device, non_blocking: bool = False) -> "GraphBatch":
        parts = (self.x, self.edges, self.graph, self.y)
        return GraphBatch(*(part.to(device, non_blocking=non_blocking) for part in parts))


class Graphs(Dataset):
    """Rings of different length."""

    def __init__(self, size: int = 24, seed: int = 0) -> None:
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = torch.Generator().manual_seed(1000 * self.seed + index)
        x = torch.randn(3 + index % 4, 5, generator=random)
        return x, x.sum().sign().clamp(0, 1)


def collate_graphs(examples: list[tuple[torch.Tensor, torch.Tensor]]) -> GraphBatch:
    """Return the batch of a list of graphs."""
    sizes = torch.tensor([len(x) for x, _ in examples])
    nodes = torch.arange(int(sizes.sum()))
    graph = torch.arange(len(examples)).repeat_interleave(sizes)
    return GraphBatch(
        torch.cat([x for x, _ in examples]),
        torch.stack([nodes, nodes.roll(1)]),
        graph,
        torch.stack([y for _, y in examples]),
    )


class GraphModel(pl.LightningModule):
    """One round of messages along the edges, and the mean over each graph."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.message = torch.nn.Linear(5, width)
        self.head = torch.nn.Linear(width, 1)

    def forward(self, data: GraphBatch) -> torch.Tensor:
        messages = torch.relu(self.message(data.x))
        source, destination = data.edges
        hidden = messages.index_add(0, destination, messages[source])
        pooled = hidden.new_zeros(len(data.y), hidden.shape[1]).index_add(0, data.graph, hidden)
        return self.head(pooled).squeeze(1)

    def _shared_step(self, data: GraphBatch, stage: str) -> torch.Tensor:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self(data), data.y)
        self.log(f"{stage}_loss", loss, batch_size=len(data.y))
        return loss

    def training_step(self, data: GraphBatch, batch_idx: int) -> torch.Tensor:
        return self._shared_step(data, "train")

    def validation_step(self, data: GraphBatch, batch_idx: int) -> None:
        self._shared_step(data, "val")

    def test_step(self, data: GraphBatch, batch_idx: int) -> None:
        self._shared_step(data, "test")

    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


class Stream(IterableDataset):
    """Random vectors without a length."""

    def __init__(self, size: int = 24, seed: int = 0) -> None:
        self.size = size
        self.seed = seed

    def __iter__(self) -> Iterator[torch.Tensor]:
        random = torch.Generator().manual_seed(self.seed)
        return iter(torch.randn(self.size, 8, generator=random))
