"""What a checkpoint holds, and what is refused as one."""

import json
import shutil
import struct
import zipfile
from dataclasses import asdict
from pathlib import Path
from threading import current_thread, main_thread

import pytest
import torch

import trainer
from trainer.core.errors import UserError
from trainer.data.base import TensorData
from trainer.data.digits import Digits
from trainer.inference.load_checkpoint import restore

QUICK = ["trainer.max_epochs=1", "test=false", "callbacks=[checkpoint]", "logger=none", "hydra.run.dir=run"]


@pytest.fixture
def checkpoint(command, tmp_path):
    """The checkpoint of a short training, alone."""
    outcome = command("model=linear", *QUICK)
    assert outcome.code == 0, outcome.err
    shutil.move("run/checkpoints/last.ckpt", "a.ckpt")
    shutil.rmtree("run")
    return tmp_path / "a.ckpt"


def test_it_holds_all_that_its_use_needs_and_no_pickled_object(checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    assert content["spec"] == asdict(Digits(batch_size=1).spec)
    assert content["preprocessing"]["_target_"] == "trainer.data.preprocessing.images.Images"
    assert content["config"]["model"]["net"]["_target_"] == "trainer.model.linear.Linear"
    assert content["metrics"].keys() >= {"train/loss", "val/loss", "val/accuracy"}
    origin = content["provenance"]
    assert origin["run"] == str(checkpoint.parent / "run")
    assert origin["command"].startswith("trainer model=linear")
    assert origin["packages"]["torch"] == torch.__version__.split("+")[0]
    assert len(origin["data_sha256"]) == 64


def test_no_step_waits_until_the_data_are_summed_up(command, monkeypatch):
    summed, sum_up = [], TensorData.checksum
    monkeypatch.setattr(TensorData, "checksum", lambda data: summed.append(current_thread()) or sum_up(data))
    assert command("model=linear", *QUICK).code == 0
    assert summed[0] is not main_thread()
    origin = torch.load("run/checkpoints/last.ckpt", weights_only=True)["provenance"]
    assert origin["data_sha256"] == json.loads(Path("run/result.json").read_text())["data_sha256"]


def test_what_comes_back_is_the_same_network_and_the_same_promise(checkpoint):
    made = restore(checkpoint)
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(value, weights[f"net.{name}"]) for name, value in made.net.state_dict().items())
    assert made.spec == Digits(batch_size=1).spec
    assert not made.net.training


def changed(file, change):
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)


def halved(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def one_bit(file):
    """Turn one over amid the largest record; what only fills up between records counts for nothing."""
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as records:
        largest = max(records.infolist(), key=lambda record: record.file_size)
    begin = largest.header_offset + 30 + sum(struct.unpack_from("<HH", content, largest.header_offset + 26))
    content[begin + largest.file_size // 2] ^= 1
    file.write_bytes(bytes(content))


class Foreign:
    """An object of another program."""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_text("no checkpoint"), "'a.ckpt' is damaged, or no checkpoint at all"),
        (lambda file: file.write_bytes(b""), "'a.ckpt' is damaged, or no checkpoint at all"),
        (one_bit, "'a.ckpt' is damaged, or no checkpoint at all"),
        (halved, "'a.ckpt' is damaged, or no checkpoint at all"),
        (lambda file: torch.save(torch.nn.Linear(1, 1), file), "'a.ckpt' holds more than numbers and names"),
        (lambda file: torch.save({"net": Foreign()}, file), "'a.ckpt' holds more than numbers and names"),
        (lambda file: torch.save([1], file), "'a.ckpt' does not hold the config of its run"),
        (lambda file: torch.save({"state_dict": {}}, file), "'a.ckpt' does not hold the config of its run"),
        (lambda file: changed(file, lambda c: c.pop("spec")), "'a.ckpt' does not hold its spec: .* earlier version"),
        (
            lambda file: changed(file, lambda c: c["spec"].update(shape=(1, 9, 9))),
            "'a.ckpt' does not fit this version of the code:\n  Error.* in loading state_dict for Linear",
        ),
        (
            lambda file: changed(file, lambda c: c["config"]["model"]["net"].update(wdith=1)),
            "'a.ckpt' does not fit this version of the code:\n  .*wdith",
        ),
        (
            lambda file: changed(file, lambda c: c["config"]["optimizer"].update(_target_="os.system")),
            "'a.ckpt' names code that is not trusted; nothing of it was run\n  optimizer: os.system: Python's own",
        ),
        (
            lambda file: changed(file, lambda c: c["preprocessing"].update(_target_="os.system")),
            "not trusted; nothing of it was run\n  preprocessing: os.system: Python's own",
        ),
    ],
)
def test_what_is_none_of_ours_is_refused_with_the_reason(spoil, message, checkpoint, monkeypatch):
    spoil(checkpoint)
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("it was run"))
    with pytest.raises(UserError, match=message):
        restore(checkpoint.relative_to(checkpoint.parent))


def test_a_network_whose_weights_came_from_a_file_needs_it_no_more(command, tmp_path):
    pytest.importorskip("torchvision")
    small = ["model=resnet", "model.net.depth=10", "model.net.width=4", "+trainer.limit_train_batches=2"]
    assert command(*small, *QUICK).code == 0
    words = [*small, *QUICK[:-1], "model.net.weights=run", "hydra.run.dir=second"]
    assert command(*words).code == 0
    shutil.rmtree("run")
    assert trainer.load("second/checkpoints/last.ckpt").predict(torch.zeros(2, 1, 8, 8))
    outcome = command("test", "second/checkpoints/last.ckpt")
    assert outcome.code == 0, outcome.err
