"""Runs that read secrets from environment variables."""

import json
import os
import shutil

import pytest

SECRET = "-".join(["s3cret", "value"])  # not in this file, which a diff of the code may contain
MODULE = '''
import torch
from pytorch_lightning import LightningModule
from torch.nn.functional import mse_loss


class Client(LightningModule):
    """Network that writes its token to a file outside of the run directory."""

    def __init__(self, token):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)
        with open("used_tokens", "a") as file:
            file.write(f"{token}\\n")

    def on_train_start(self):
        if self.hparams.token.startswith("invalid"):
            raise ValueError(f"cannot log in with {self.hparams.token}")

    def compute_loss(self, batch, name):
        loss = mse_loss(self.layer(batch[0]), batch[1].float().view(-1, 1))
        self.log(name, loss)
        return loss

    def training_step(self, batch, _):
        return self.compute_loss(batch, "train/loss")

    def validation_step(self, batch, _):
        self.compute_loss(batch, "val/loss")

    def test_step(self, batch, _):
        self.compute_loss(batch, "test/loss")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
'''
RUN = [
    *("data=xor", "data.repeats=1", "model=custom", "model._target_=client.Client", "trainer.max_epochs=1"),
    *("hydra.run.dir=run", "+model.token=user:${oc.env:TOKEN}"),
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "client.py").write_text(MODULE)
    monkeypatch.setenv("TOKEN", SECRET)
    return tmp_path


def find_files(directory, text):
    """Return the files below a directory that contain a text."""
    return [file for file in directory.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


@pytest.mark.slow
def test_files_contain_the_name_of_the_variable(project, command):
    assert command(*RUN).code == 0
    assert command("resume", "run", "trainer.max_epochs=2").code == 0
    assert command("test", "run").code == 0
    assert command("report", "run").code == 0
    assert {*(project / "used_tokens").read_text().split()} == {f"user:{SECRET}"}
    (project / "used_tokens").unlink()
    assert find_files(project, SECRET) == []
    names = {file.name for file in find_files(project / "run", "user:${oc.env:TOKEN}")}
    assert names >= {"config.yaml", "best.ckpt", "last.ckpt", "provenance.json", "report.html", "hparams.yaml"}


def test_a_run_from_elsewhere_reads_no_variable(project, command, monkeypatch):
    assert command(*RUN).code == 0
    other = project / "other"
    shutil.copytree(project / "run", other / "run")
    shutil.copy(project / "client.py", other)
    for arguments in (["resume", "run", "trainer.max_epochs=2"], ["test", "run"], ["replay", "run"]):
        monkeypatch.chdir(other)  # resume changes to the directory of the run
        outcome = command(*arguments, "--trust", "client")
        assert (outcome.code, "model.token: user:${oc.env:TOKEN}: " in outcome.err) == (1, True), outcome.err
    assert not (other / "used_tokens").exists()


def test_a_variable_that_is_not_set_is_one_error(project, command):
    assert command(*RUN).code == 0
    for arguments in (["resume", "run", "trainer.max_epochs=2"], ["test", "run"], [*RUN, "hydra.run.dir=other"]):
        os.environ.pop("TOKEN")  # the fixture restores it
        outcome = command(*arguments)
        assert outcome.code == 1
        assert outcome.err.startswith("error: model.token: the environment variable 'TOKEN' is not set")
        assert len(outcome.err.splitlines()) == 1


def test_an_error_message_in_a_file_contains_no_secret(project, command, monkeypatch):
    monkeypatch.setenv("TOKEN", f"invalid-{SECRET}")
    outcome = command(*(item.replace("user:", "") for item in RUN), "preflight.step=false")
    assert "cannot log in with invalid-" in outcome.err
    result = json.loads((project / "run/result.json").read_text())
    assert "cannot log in with ${oc.env:TOKEN}" in result["error"]
    assert [file.name for file in find_files(project / "run", SECRET)] == []
