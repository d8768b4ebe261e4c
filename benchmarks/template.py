"""lightning-hydra-template's way: its LightningModule, its callbacks at their defaults, a DataLoader over examples.

After its `src/models/mnist_module.py` and `configs/callbacks/default.yaml`: every step updates a mean of the loss and a
metric and logs both, a Rich bar shows them, and the best and the last checkpoint are kept.
"""

import warnings
from pathlib import Path

import torch
from jobs import Job
from laps import laps
from plain import LOSSES
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, RichModelSummary, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from stopwatch import Stopwatch
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics import MaxMetric, MeanMetric, MeanSquaredError, MinMetric
from torchmetrics.classification import Accuracy

LONG = 1000  # steps of an epoch, where one is made of a set that is but a batch


class TemplateModule(LightningModule):
    """One net, one loss, one metric."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False, ignore=["job"])
        self.job, self.net, self.criterion = job, job.net, LOSSES[job.loss]
        self.train_loss, self.val_loss = MeanMetric(), MeanMetric()
        self.train_score, self.val_score = self._score(), self._score()
        self.val_best = MinMetric() if job.loss == "mse" else MaxMetric()

    def _score(self):
        if self.job.loss == "mse":
            return MeanSquaredError()
        return Accuracy(task="binary") if self.job.loss == "bce" else Accuracy(task="multiclass", num_classes=10)

    def forward(self, x):
        return self.net(x)

    def on_train_start(self):
        self.val_loss.reset()
        self.val_score.reset()
        self.val_best.reset()

    def model_step(self, batch):
        """Loss, predictions and targets of a batch."""
        x, y = batch
        outputs = self.forward(x)
        loss = self.criterion(outputs, y[:, None].float() if self.job.loss == "bce" else y)
        if self.job.loss == "mse":
            return loss, outputs, y
        return loss, outputs[:, 0].sigmoid() if self.job.loss == "bce" else outputs.argmax(dim=1), y

    def training_step(self, batch, batch_idx):
        loss, preds, targets = self.model_step(batch)
        self.train_loss(loss)
        self.train_score(preds, targets)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_score, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        loss, preds, targets = self.model_step(batch)
        self.val_loss(loss)
        self.val_score(preds, targets)
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("val/acc", self.val_score, on_step=False, on_epoch=True, prog_bar=True)

    def on_validation_epoch_end(self):
        self.val_best(self.val_score.compute())
        self.log("val/acc_best", self.val_best.compute(), sync_dist=True, prog_bar=True)

    def configure_optimizers(self):
        name, arguments = self.job.optimizer
        return getattr(torch.optim, name)(self.trainer.model.parameters(), **arguments)


class Repeated(Dataset):
    """A few examples over and over, so that an epoch has more than one step."""

    def __init__(self, part, times: int) -> None:
        self.part, self.times = part, times

    def __len__(self) -> int:
        return len(self.part[1]) * self.times

    def __getitem__(self, place: int):
        place %= len(self.part[1])
        return self.part[0][place], self.part[1][place]


def train(job: Job, folder: Path, steps: int = 0, *, long_epochs: bool = False) -> tuple[int, float]:
    """Train for about so many steps (0: as many as the job has): steps and seconds.

    A set that is but a batch has epochs of one step, each with its validation, or `long_epochs` that go through it
    `LONG` times, as nobody's template does and which is far quicker.
    """
    mode = "min" if job.loss == "mse" else "max"
    callbacks = [
        ModelCheckpoint(
            dirpath=folder / "checkpoints",
            filename="epoch_{epoch:03d}",
            monitor="val/acc",
            mode=mode,
            save_last=True,
            auto_insert_metric_name=False,
        ),
        EarlyStopping(monitor="val/acc", patience=100, mode=mode),
        RichModelSummary(max_depth=-1),
        RichProgressBar(),
        Stopwatch(),
    ]
    training, steps = TensorDataset(*job.train), steps or job.epochs * job.steps
    epochs = max(1, round(steps / -(-len(training) // job.batch)))
    if long_epochs:
        training, epochs = Repeated(job.train, min(steps, LONG)), -(-steps // LONG)
    warnings.simplefilter("ignore")
    trainer = Trainer(
        default_root_dir=folder,
        min_epochs=1,
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        check_val_every_n_epoch=1,
        deterministic=False,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name="tensorboard"),
    )
    before = len(laps)
    trainer.fit(
        TemplateModule(job),
        DataLoader(training, job.batch, num_workers=0, shuffle=not long_epochs),
        DataLoader(TensorDataset(*job.val), job.batch, num_workers=0, shuffle=False),
    )
    return laps[before]
