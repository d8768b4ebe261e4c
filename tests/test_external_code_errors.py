"""Errors in user code and in its config: one message with the location, exit code 1, and no traceback."""

import re

import pytest

MINE = """
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, Dataset

from trainer import DataSpec


class Points(Dataset):
    def __init__(self, failing: bool = False):
        self.data = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
        self.failing = failing

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        if self.failing:
            raise RuntimeError("cannot read the point")  # in __getitem__
        return self.data[index], self.data[index].sum(0, keepdim=True)


class Data(LightningDataModule):
    def __init__(self, failing_stage: str = None):
        super().__init__()
        self.failing_stage = failing_stage

    def setup(self, stage):
        if stage == self.failing_stage:
            raise OSError("no such volume")  # in setup

    def train_dataloader(self):
        return DataLoader(Points(), batch_size=4)

    val_dataloader = test_dataloader = train_dataloader


class NoLoaders(LightningDataModule):
    pass


class Classes(Data):
    spec = DataSpec("classes", "vector", (2,), "classification", 3)


class Wide(Data):
    spec = DataSpec("wide", "vector", (5,), "regression", 1)


class Net(LightningModule):
    def __init__(self, hidden: int, failing: str = "", start_device: torch.device = "cpu", path: str = None):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, hidden), torch.nn.Linear(hidden, 1))
        self.failing = failing

    def compute_loss(self, batch, stage):
        if stage == self.failing:
            raise KeyError("missing column")  # in compute_loss
        inputs, targets = batch
        loss = mse_loss(self.layers(inputs), targets)
        self.log(f"{stage}/loss", loss)
        return loss

    def training_step(self, batch, batch_idx):
        return self.compute_loss(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.compute_loss(batch, "val")

    def test_step(self, batch, batch_idx):
        self.compute_loss(batch, "test")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
"""
BROKEN = """
import torch
from torch import nonexistent  # in the module
"""
NET = "model=custom model._target_=mine.Net +model.hidden=4"
DATA = "data=custom data._target_=mine.Data"
SKIP = "preflight.step=false skips this check"
# message by command line; "(in FILE: TEXT)" is the line of a file with a comment
MESSAGES = {
    f"model=custom model._target_=mine.Net +model.hiden=4 {DATA}": (
        "model.hiden: mine.Net takes no 'hiden'; did you mean 'hidden'?  (command line: +model.hiden=4)\n"
        "model.hidden: mine.Net requires a value; +model.hidden=...  (command line: +model.hiden=4)"
    ),
    f"model=custom model._target_=mine.Net model.hidden=4 {DATA}": (
        "model.hidden: no such key; there are: _target_ (to add an argument that the config does not list, type a plus:"
        " +model.hidden=4)  (command line: model.hidden=4)\n"
        "model.hidden: mine.Net requires a value; +model.hidden=...  (command line: model._target_=mine.Net)"
    ),
    f"model=custom model._target_=mine.Net {DATA}": (
        "model.hidden: mine.Net requires a value; +model.hidden=...  (command line: model._target_=mine.Net)"
    ),
    f"{NET} {DATA} model.hidden=many": "model.hidden: 'many' is not int  (command line: model.hidden=many)",
    f"{NET} {DATA} +model.path=3": "model.path: 3 is not str  (command line: +model.path=3)",
    f"model=custom model._target_=mine.Nett {DATA}": (
        "model._target_: cannot import 'mine.Nett': module 'mine' has no attribute 'Nett'; did you mean 'Net'?"
        "  (command line: model._target_=mine.Nett)"
    ),
    f"model=custom model._target_=my_net.Net {DATA}": (
        "model._target_: cannot import 'my_net.Net': No module named 'my_net'"
        "  (command line: model._target_=my_net.Net)"
    ),
    f"model=custom model._target_=broken.Net {DATA}": (
        "model._target_: cannot import 'broken.Net': cannot import name 'nonexistent' from 'torch' (...)"
        "  (in broken.py: in the module)"
    ),
    f"{NET} data=custom data._target_=mine.Points": (
        "data: mine.Points is no LightningDataModule of pytorch_lightning; name a data set or a loader for each stage:"
        " data=datasets +data.train._target_=mine.Points  (command line: data._target_=mine.Points)"
    ),
    f"model=custom model._target_=torch.nn.ReLU {DATA}": (
        "model: torch.nn.ReLU is no LightningModule of pytorch_lightning; to train a network:"
        " model=custom model._target_=trainer.Supervised +model.net._target_=torch.nn.ReLU"
        "  (command line: model._target_=torch.nn.ReLU)"
    ),
    **{
        f"{NET} +model.failing={stage} {DATA}": (
            f"model: KeyError: 'missing column', in compute_loss; {SKIP}  (in mine.py: in compute_loss)"
        )
        for stage in ("train", "val", "test")
    },
    **{
        f"{NET} {DATA} +data.failing_stage={stage}": (
            f"data: OSError: no such volume, in setup; {SKIP}  (in mine.py: in setup)"
        )
        for stage in ("fit", "test")
    },
    f"{NET} data=datasets data.train={{_target_:mine.Points,failing:true}}": (
        f"data: RuntimeError: cannot read the point, in __getitem__; {SKIP}  (in mine.py: in __getitem__)"
    ),
    f"{NET} data=custom data._target_=mine.Wide": (
        "data: its spec contradicts the first batch: inputs of shape (2,), expected (5,)"
        "  (command line: data._target_=mine.Wide)"
    ),
    f"{NET} data=custom data._target_=mine.Classes": (
        "data: its spec contradicts the first batch: targets of shape (4, 1) and type torch.float32, expected"
        " those of a classification  (command line: data._target_=mine.Classes)"
    ),
    f"{NET} data=custom data._target_=mine.NoLoaders": (
        "data: `train_dataloader` must be implemented to be used with the Lightning Trainer;"
        f" {SKIP}  (command line: data._target_=mine.NoLoaders)"
    ),
    f"{NET} data=datasets +data.val._target_=mine.Points": (
        "data.train: no value given; data.train=...  (in ...conf/data/datasets.yaml:3)"
    ),
    f"{NET} data=datasets data.train._target_=mine.Points": (
        "data.train._target_: no such key; to add an argument that the config does not list, type a plus:"
        " +data.train._target_=mine.Points  (command line: data.train._target_=mine.Points)\n"
        "data.train: no value given; data.train=...  (in ...conf/data/datasets.yaml:3)"
    ),
    f"model=mlp {DATA}": (
        "model.net: trainer.model.mlp.MLP needs the sizes of the data, but mine.Data has no attribute `spec`; add one"
        " (a trainer.DataSpec), or name a class that needs no spec, without _partial_: true"
        "  (in ...conf/model/mlp.yaml:3)"
    ),
    f"{NET} {DATA} callbacks=[default,early_stopping] callbacks.early_stopping.monitor=val/acuracy": (
        "callbacks.early_stopping.monitor: no metric 'val/acuracy' is logged; there are: test/loss, train/loss,"
        " val/loss"
        "  (command line: callbacks.early_stopping.monitor=val/acuracy)"
    ),
    f"{NET} {DATA} optimizer.lr=0.1": (
        "optimizer.lr: has no effect: mine.Net configures its own optimizer, or none; leave it out"
        "  (command line: optimizer.lr=0.1)"
    ),
    f"{NET} {DATA} scheduler=cosine": (
        "scheduler: has no effect: mine.Net configures its own scheduler, or none; leave it out"
        "  (command line: scheduler=cosine)"
    ),
    f"{NET} {DATA} objective.loss=mse": (
        "objective.loss: has no effect: mine.Net does not use the objective of the config; leave it out"
        "  (command line: objective.loss=mse)"
    ),
    f"{NET} {DATA} compile=true": (
        "compile: has no effect: mine.Net does not use the network of the config; leave it out"
        "  (command line: compile=true)"
    ),
}


@pytest.fixture
def project(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path


def find_line(project, reference):
    """Return `in mine.py:LINE` for `in mine.py: TEXT`, the line with this comment."""
    file, _, text = reference.removeprefix("in ").partition(": ")
    lines = (project / file).read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if line.endswith(f"  # {text}")]
    return f"in {file}:{number}"


def matches(message, expected):
    """Return whether a message equals the expected one, in which `...` is any text."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("..."))), message)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", MESSAGES)
def test_an_error_in_user_code_has_one_message_with_its_location(arguments, project, command):
    outcome = command(*arguments.split())
    assert outcome.code == 1
    lines = [line.strip() for line in outcome.err.removeprefix("error: ").strip().splitlines()]
    expected = MESSAGES[arguments].splitlines()
    if "  (in mine.py: " in expected[0] or "  (in broken.py: " in expected[0]:
        problem, _, reference = expected[0].rpartition("  (")
        expected = [f"{problem}  ({find_line(project, reference.removesuffix(')'))})"]
    assert len(lines) == len(expected), outcome.err
    for line, pattern in zip(lines, expected, strict=True):
        assert matches(line, pattern), outcome.err


def test_null_and_a_string_are_accepted_for_arguments_with_such_a_default(project, command):
    outcome = command(
        *NET.split(), *DATA.split(), "+model.path=null", "+model.start_device=cuda", "trainer.max_epochs=1"
    )
    assert outcome.code == 0, outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train", "val", "test"])
def test_a_run_without_the_trial_shows_the_traceback_of_user_code(stage, project, command):
    overrides = (f"+model.failing={stage}", "preflight.step=false", "trainer.max_epochs=1", "logger=none")
    outcome = command(*NET.split(), *DATA.split(), *overrides)
    assert outcome.code == 1
    assert "raise KeyError(" in outcome.err
    assert command("check", *NET.split(), *DATA.split(), *overrides).code == 0
