"""Transformer language model with targets of shape (batch, time), and a model of dict batches that returns objects."""

from dataclasses import dataclass

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchmetrics.aggregation import MeanMetric

TOKENS = 20


class TokenSequences(Dataset):
    """Random sequences; the target of each token is the next token."""

    def __init__(self, size: int = 32, block_size: int = 6, seed: int = 0) -> None:
        self.data = torch.randint(TOKENS, (size, block_size + 1), generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        sequence = self.data[index]
        return sequence[:-1], sequence[1:]


class LanguageModel(LightningModule):
    """Causal transformer."""

    def __init__(self, vocab_size: int = TOKENS, width: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        layer = nn.TransformerEncoderLayer(width, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device)
        return self.head(self.encoder(self.embedding(tokens), mask=mask, is_causal=True))

    def _loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        inputs, target = batch
        return F.cross_entropy(self(inputs).flatten(0, 1), target.flatten())

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("val_loss", loss, prog_bar=True)
        return loss

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.log("test_loss", loss)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Sentences(Dataset):
    """Examples as dicts of the arguments of `SentenceEncoder`."""

    def __init__(self, size: int, seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(1, TOKENS, (size, 6), generator=random)
        self.lengths = torch.randint(2, 7, (size,), generator=random)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        mask = (torch.arange(6) < self.lengths[index]).long()
        tokens = self.tokens[index] * mask
        return {"input_ids": tokens, "attention_mask": mask, "labels": (tokens[0] > TOKENS // 2).long()}


class SentenceDataModule(LightningDataModule):
    """Loaders of `Sentences`."""

    def __init__(self, train_batch_size: int = 8, eval_batch_size: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str) -> None:
        self.dataset = {"train": Sentences(40, 0), "validation": Sentences(16, 1), "test": Sentences(16, 2)}

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset["train"], batch_size=self.hparams.train_batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset["validation"], batch_size=self.hparams.eval_batch_size)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.dataset["test"], batch_size=self.hparams.eval_batch_size)


@dataclass
class ClassifierOutput:
    """Result of `SentenceEncoder`."""

    loss: torch.Tensor | None
    logits: torch.Tensor


class SentenceEncoder(nn.Module):
    """Mean of embeddings; computes its own loss if it receives labels."""

    def __init__(self, width: int = 8, num_labels: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, width, padding_idx=0)
        self.classifier = nn.Linear(width, num_labels)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None
    ) -> ClassifierOutput:
        mean = self.embedding(input_ids).sum(1) / attention_mask.sum(1, keepdim=True)
        logits = self.classifier(mean)
        return ClassifierOutput(None if labels is None else F.cross_entropy(logits, labels), logits)


class SentenceClassifier(LightningModule):
    """Model of dict batches, with a schedule of the estimated number of steps."""

    def __init__(self, width: int = 8, learning_rate: float = 1e-2, warmup_steps: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = SentenceEncoder(width)
        self.mean_loss = MeanMetric()

    def forward(self, **inputs: torch.Tensor) -> ClassifierOutput:
        return self.model(**inputs)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        outputs = self(**batch)
        self.log("train/loss", outputs.loss)
        return outputs.loss

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int, dataloader_idx: int = 0) -> dict:
        outputs = self(**batch)
        self.mean_loss(outputs.loss)
        self.log("val/loss", self.mean_loss, on_epoch=True)
        return {"loss": outputs.loss, "preds": outputs.logits.argmax(1), "labels": batch["labels"]}

    def test_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        outputs = self(**batch)
        self.log_dict(
            {"test/loss": outputs.loss, "test/acc": (outputs.logits.argmax(1) == batch["labels"]).float().mean()}
        )

    def configure_optimizers(self) -> tuple[list, list]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.learning_rate)
        total = self.trainer.estimated_stepping_batches
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total))
        return [optimizer], [{"scheduler": scheduler, "interval": "step", "frequency": 1}]
