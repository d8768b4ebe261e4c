"""Parameter groups and schedules of the config in modules that configure their own optimizer."""

import csv

import pytest

MODULE = """
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy


class Mine(LightningModule):
    def __init__(self, optimizer, scheduler, own_groups: bool = False):
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.first = nn.Linear(64, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 10)

    def forward(self, inputs):
        return self.last(self.norm(self.first(inputs.flatten(1))))

    def training_step(self, batch, batch_idx):
        return cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        groups = [{"params": self.parameters()}] if self.hparams.own_groups else self.parameters()
        optimizer = self.hparams.optimizer(params=groups)
        return {"optimizer": optimizer, "lr_scheduler": self.hparams.scheduler(optimizer=optimizer)}
"""
RUN = ("data=digits", "model=custom", "model._target_=my_module.Mine", "trainer.max_epochs=2", "test=false")
GROUPS = "optimizer.groups={last: {pattern: last, lr: 0.01}}"
STEP = ("scheduler._target_=torch.optim.lr_scheduler.StepLR", "+scheduler.step_size=1")


@pytest.fixture
def run(command, tmp_path):
    (tmp_path / "my_module.py").write_text(MODULE)
    return lambda *overrides: command(*RUN, *overrides, "hydra.run.dir=run", "trainer.log_every_n_steps=10")


def test_a_module_that_calls_the_optimizer_has_the_groups_of_the_config(run, tmp_path):
    swa = ("callbacks=[default,swa]", "callbacks.swa.start_epoch=0")
    outcome = run(GROUPS, "optimizer.decay_biases_and_norms=false", *STEP, *swa)
    assert outcome.code == 0, outcome.err
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["lr-Adam/last"]]
    rates = [[float(row[f"lr-Adam/{name}"]) for name in ("last", "last_no_decay", "rest", "no_decay")] for row in rows]
    expected = [[0.01, 0.01, 0.001, 0.001]] * 2 + [[0.001, 0.001, 0.0001, 0.0001]] * 2
    assert rates == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((*STEP, "+scheduler.interval=step"), "scheduler.interval: has no effect: my_module.Mine configures when"),
        ((GROUPS, "+model.own_groups=true"), "optimizer: the module chooses its own parameter groups"),
        (("optimizer.groups={a: {pattern: net}}",), "optimizer.groups.a.pattern: no parameter matches 'net'"),
    ],
)
def test_settings_that_a_module_ignores_are_refused(overrides, message, run):
    outcome = run(*overrides)
    assert outcome.code == 1
    assert message in outcome.err
