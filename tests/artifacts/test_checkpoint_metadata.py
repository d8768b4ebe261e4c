"""Content of checkpoints, and files that are refused as checkpoints."""

import json
import shutil
import struct
import zipfile
from dataclasses import asdict
from pathlib import Path
from threading import current_thread, main_thread

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

import trainer
from trainer.artifacts.checkpoint_metadata import drop_hyperparameters
from trainer.core.checksummed_file import append_checksum
from trainer.core.errors import UserError
from trainer.data.base import TensorData
from trainer.data.digits import Digits
from trainer.inference.load_checkpoint import load_checkpoint, read_checkpoint

QUICK = ["trainer.max_epochs=1", "test=false", "callbacks=[checkpoint]", "logger=none", "hydra.run.dir=run"]


def test_hyperparameters_of_omegaconf_become_plain():
    content = {"hyper_parameters": OmegaConf.create({"a": {"b": [1, "${a.c}"], "c": 2}}), "hparams_type": DictConfig}
    drop_hyperparameters(content)
    assert content == {"hyper_parameters": {"a": {"b": [1, 2], "c": 2}}}


@pytest.fixture
def checkpoint(command, tmp_path):
    """Return the checkpoint of a short training without its run directory."""
    outcome = command("model=linear", *QUICK)
    assert outcome.code == 0, outcome.err
    shutil.move("run/checkpoints/last.ckpt", "a.ckpt")
    shutil.rmtree("run")
    return tmp_path / "a.ckpt"


def test_a_checkpoint_contains_its_metadata_and_no_pickled_object(checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    assert content["spec"] == asdict(Digits(batch_size=1).spec)
    assert content["preprocessing"]["_target_"] == "trainer.data.preprocessing.images.ImagePreprocessing"
    assert content["config"]["model"]["net"]["_target_"] == "trainer.model.linear.Linear"
    assert content["metrics"].keys() >= {"train/loss", "val/loss", "val/accuracy"}
    provenance = content["provenance"]
    assert provenance["run"] == str(checkpoint.parent / "run")
    assert provenance["command"].startswith("trainer model=linear")
    assert provenance["packages"]["torch"] == torch.__version__.split("+")[0]
    assert len(provenance["data_sha256"]) == 64


def test_the_checksum_of_the_data_is_computed_in_another_thread(command, monkeypatch):
    threads = []
    checksum = TensorData.checksum
    monkeypatch.setattr(TensorData, "checksum", lambda data: threads.append(current_thread()) or checksum(data))
    assert command("model=linear", *QUICK).code == 0
    assert threads[0] is not main_thread()
    provenance = torch.load("run/checkpoints/last.ckpt", weights_only=True)["provenance"]
    assert provenance["data_sha256"] == json.loads(Path("run/result.json").read_text())["data_sha256"]


def test_texts_in_the_preprocessing_are_no_interpolations(checkpoint):
    modify(checkpoint, lambda content: content["preprocessing"].update(names=["${oc.env:HOME}"]))
    assert read_checkpoint(checkpoint)["preprocessing"]["names"] == ["${oc.env:HOME}"]


def test_network_and_spec_are_restored(checkpoint):
    loaded = load_checkpoint(checkpoint)
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(value, weights[f"net.{name}"]) for name, value in loaded.net.state_dict().items())
    assert loaded.spec == Digits(batch_size=1).spec
    assert not loaded.net.training


def modify(file, change):
    content = torch.load(file, weights_only=True)
    change(content)
    torch.save(content, file)


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_bit(file):
    """Flip a bit in the largest record."""
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as records:
        largest = max(records.infolist(), key=lambda record: record.file_size)
    start = largest.header_offset + 30 + sum(struct.unpack_from("<HH", content, largest.header_offset + 26))
    content[start + largest.file_size // 2] ^= 1
    file.write_bytes(bytes(content))


class Foreign:
    """Object of another program."""


def compress(file, *, with_checksum=False):
    """Replace a checkpoint by one that is small, but fills the memory when it is loaded."""
    with zipfile.ZipFile(file) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    if with_checksum:
        file.write_bytes(b"".join(append_checksum(memoryview(file.read_bytes()))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (lambda file: file.write_text("no checkpoint"), "'a.ckpt' is corrupted or not a checkpoint"),
        (lambda file: file.write_bytes(b""), "'a.ckpt' is corrupted or not a checkpoint"),
        (flip_bit, "'a.ckpt' is corrupted or not a checkpoint"),
        (truncate, "'a.ckpt' is corrupted or not a checkpoint"),
        (
            lambda file: torch.save(torch.nn.Linear(1, 1), file),
            "'a.ckpt' contains pickled objects, which weights_only loading does not allow$",
        ),
        (
            lambda file: torch.save({"net": Foreign()}, file),
            "'a.ckpt' contains pickled objects, which weights_only loading does not allow$",
        ),
        (lambda file: torch.save([1], file), "'a.ckpt' contains no config; expected a checkpoint of this trainer$"),
        (
            lambda file: torch.save({"state_dict": {}}, file),
            "'a.ckpt' contains no config; expected a checkpoint of this trainer$",
        ),
        (
            lambda file: modify(file, lambda c: c.pop("spec")),
            "'a.ckpt' contains no spec; expected a checkpoint of this trainer version",
        ),
        (
            lambda file: modify(file, lambda c: c["spec"].update(shape=(1, 9, 9))),
            "'a.ckpt' is incompatible with the current code:\n  Error.* in loading state_dict for Linear",
        ),
        (
            lambda file: modify(file, lambda c: c["config"]["model"]["net"].update(wdith=1)),
            "'a.ckpt' is incompatible with the current code:\n  .*wdith",
        ),
        (
            lambda file: modify(file, lambda c: c["config"]["optimizer"].update(_target_="os.system")),
            "'a.ckpt' names code that is not trusted; none of it was run\n"
            "  optimizer: os.system: part of the Python standard library$",
        ),
        (
            lambda file: modify(file, lambda c: c["preprocessing"].update(_target_="os.system")),
            "not trusted; none of it was run\n  preprocessing: os.system: part of the Python standard library$",
        ),
        (
            lambda file: modify(file, lambda c: c["preprocessing"].update(parts=[{"_target_": "os.system"}])),
            r"none of it was run\n  preprocessing.parts\[0\]: os.system: part of the Python standard library$",
        ),
        (compress, r"corrupted or not a checkpoint \(compressed records, which PyTorch does not write\)$"),
        (
            lambda file: compress(file, with_checksum=True),
            r"corrupted or not a checkpoint \(compressed records, which PyTorch does not write\)$",
        ),
        (lambda file: modify(file, lambda c: c["config"].pop("data")), "'a.ckpt' is invalid: config: no data$"),
        (
            lambda file: modify(file, lambda c: c["config"].update(model=3)),
            r"'a.ckpt' is invalid: config: model: expected dict\[str, typing.Any\], found 3$",
        ),
        (
            lambda file: modify(file, lambda c: c.update(provenance=[])),
            "'a.ckpt' is invalid: provenance: expected dict",
        ),
        (lambda file: modify(file, lambda c: c.update(spec={1: 2})), "'a.ckpt' is invalid: spec: expected dict"),
        (lambda file: modify(file, lambda c: c.update(metrics=[1])), "'a.ckpt' is invalid: metrics: expected dict"),
    ],
)
def test_an_invalid_checkpoint_is_refused_with_the_reason(corrupt, message, checkpoint, monkeypatch):
    corrupt(checkpoint)
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("it was run"))
    with pytest.raises(UserError, match=message):
        load_checkpoint(checkpoint.relative_to(checkpoint.parent))


@pytest.mark.slow
def test_the_file_of_initial_weights_is_not_needed_later(command, tmp_path):
    pytest.importorskip("torchvision")
    small = ["model=resnet", "model.net.depth=10", "model.net.width=4", "+trainer.limit_train_batches=2"]
    assert command(*small, *QUICK).code == 0
    overrides = [*small, *QUICK[:-1], "model.net.weights=run", "hydra.run.dir=second"]
    assert command(*overrides).code == 0
    shutil.rmtree("run")
    assert trainer.load("second/checkpoints/last.ckpt").predict(torch.zeros(2, 1, 8, 8))
    outcome = command("test", "second/checkpoints/last.ckpt")
    assert outcome.code == 0, outcome.err
