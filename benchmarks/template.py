"""Training of lightning-hydra-template with its LightningModule, its default callbacks and a DataLoader over examples.

Adapted from its `src/models/mnist_module.py` and `configs/callbacks/default.yaml`: every step updates a mean of the
loss and a metric and logs both, a Rich bar shows them, and the best and the last checkpoint are saved.
"""

import warnings
from pathlib import Path

import torch
from jobs import Job
from plain import LOSSES
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, RichModelSummary, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from stopwatch import Stopwatch
from timings import timings
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics import MaxMetric, MeanMetric, MeanSquaredError, MinMetric
from torchmetrics.classification import Accuracy

LONG_EPOCH_STEPS = 1000  # steps of an epoch over a repeated batch


class TemplateModule(LightningModule):
    """One net, one loss, one metric."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False, ignore=["job"])
        self.job = job
        self.net = job.net
        self.criterion = LOSSES[job.loss]
        self.train_loss = MeanMetric()
        self.val_loss = MeanMetric()
        self.train_score = self._score()
        self.val_score = self._score()
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
        """Return the loss, predictions and targets of a batch."""
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


class RepeatedDataset(Dataset):
    """Repeated examples, so that an epoch has more than one step."""

    def __init__(self, examples, repeats: int) -> None:
        self.examples = examples
        self.repeats = repeats

    def __len__(self) -> int:
        return len(self.examples[1]) * self.repeats

    def __getitem__(self, index: int):
        index %= len(self.examples[1])
        return self.examples[0][index], self.examples[1][index]


def train(
    job: Job, directory: Path, steps: int = 0, *, long_epochs: bool = False, patience: int = 100
) -> tuple[int, float]:
    """Train for about `steps` steps (0 for the number of the job); return steps and seconds.

    A data set of a single batch has epochs of one step, each with a validation. `long_epochs` repeats it
    `LONG_EPOCH_STEPS` times in an epoch, which is much faster, though users of the template would not do it.
    """
    mode = "min" if job.loss == "mse" else "max"
    callbacks = [
        ModelCheckpoint(
            dirpath=directory / "checkpoints",
            filename="epoch_{epoch:03d}",
            monitor="val/acc",
            mode=mode,
            save_last=True,
            auto_insert_metric_name=False,
        ),
        EarlyStopping(monitor="val/acc", patience=patience, mode=mode),
        RichModelSummary(max_depth=-1),
        RichProgressBar(),
        Stopwatch(),
    ]
    training = TensorDataset(*job.train)
    steps = steps or job.epochs * job.steps
    epochs = max(1, round(steps / -(-len(training) // job.batch)))
    if long_epochs:
        training = RepeatedDataset(job.train, min(steps, LONG_EPOCH_STEPS))
        epochs = -(-steps // LONG_EPOCH_STEPS)
    warnings.simplefilter("ignore")
    trainer = Trainer(
        default_root_dir=directory,
        min_epochs=1,
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        check_val_every_n_epoch=1,
        deterministic=False,
        callbacks=callbacks,
        logger=TensorBoardLogger(directory, name="tensorboard"),
    )
    index = len(timings)
    trainer.fit(
        TemplateModule(job),
        DataLoader(training, job.batch, num_workers=0, shuffle=not long_epochs),
        DataLoader(TensorDataset(*job.val), job.batch, num_workers=0, shuffle=False),
    )
    return timings[index]
