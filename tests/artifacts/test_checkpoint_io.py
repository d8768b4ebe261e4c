"""Corrupted checkpoints are refused with the same error by every command."""

import json
import pickle

import pytest
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from trainer.artifacts.checkpoint_io import AtomicCheckpointIO
from trainer.core.checksummed_file import find_corruption, load
from trainer.core.errors import UserError

SHORT = ("data=digits", "model=linear", "logger=none", "callbacks=[fast_loop,checkpoint]")


@pytest.fixture
def run(command, tmp_path):
    """Return the directory of a short run."""
    outcome = command(*SHORT, "trainer.max_epochs=1", "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    return tmp_path / "run"


def flip(file):
    """Flip the highest bit of an exponent of a weight, which makes it huge or tiny."""
    content = bytearray(file.read_bytes())
    weights = torch.load(file, weights_only=True)["state_dict"]["net.layer.weight"]
    number = weights.flatten()[:4].numpy().tobytes()
    content[content.find(number) + 3] ^= 0x40
    file.write_bytes(bytes(content))


def cut(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def write_text(file):
    file.write_text("no checkpoint")


def write_pickle(file):
    file.write_bytes(pickle.dumps({"state_dict": {}}))


CORRUPTIONS = [flip, cut, write_text, write_pickle]
COMMANDS = {
    "a test by the command": ["test", "run/checkpoints/best.ckpt"],
    "a test by the config": [*SHORT, "train=false", "ckpt_path=run/checkpoints/best.ckpt"],
    "a training from it": [*SHORT, "trainer.max_epochs=2", "ckpt_path=run/checkpoints/best.ckpt"],
    "an export": ["export", "run/checkpoints/best.ckpt", "--to=a.pt2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("corrupt", CORRUPTIONS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_corrupted_checkpoint_is_refused(name, corrupt, run, command):
    corrupt(run / "checkpoints/best.ckpt")
    outcome = command(*COMMANDS[name])
    assert outcome.code == 1
    [line] = outcome.err.splitlines()
    assert line.startswith("error: 'run/checkpoints/best.ckpt' is corrupted or not a checkpoint (")


def test_a_corrupted_best_checkpoint_of_a_resumed_run_is_refused_before_its_test(command, tmp_path):
    overrides = ("optimizer=sgd", "optimizer.lr=0", "trainer.max_epochs=1", "hydra.run.dir=run")  # no epoch improves
    assert command(*SHORT, *overrides).code == 0
    flip(tmp_path / "run/checkpoints/best.ckpt")
    outcome = command("resume", "run", "trainer.max_epochs=2")
    assert outcome.code == 1
    assert "best.ckpt' is corrupted or not a checkpoint (checksum mismatch)" in outcome.err
    assert json.loads((tmp_path / "run/result.json").read_text())["state"] == "test_failed"


def test_a_file_that_is_not_a_lightning_checkpoint_is_refused(command):
    torch.save({"weights": torch.zeros(1)}, "weights.pt")
    outcome = command(*SHORT, "ckpt_path=weights.pt")
    assert outcome.err == "error: 'weights.pt' has no state_dict; expected a Lightning checkpoint\n"


def test_a_run_directory_is_refused_with_the_path_of_its_checkpoint(run, command):
    outcome = command(*SHORT, "ckpt_path=run")
    expected = "ckpt_path: 'run' is the directory of a run; name a file: ckpt_path=run/checkpoints/best.ckpt"
    assert expected in outcome.err


def test_corrupted_initial_weights_are_refused(run, command):
    flip(run / "checkpoints/best.ckpt")
    outcome = command("data=digits", "model=resnet", "model.net.weights=run/checkpoints/best.ckpt")
    assert "model.net.weights: 'run/checkpoints/best.ckpt' is corrupted or not a checkpoint" in outcome.err


def test_every_changed_byte_of_a_file_with_a_checksum_is_detected(tmp_path):
    file = tmp_path / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.arange(3)}}, file)
    content = file.read_bytes()
    assert find_corruption(file) is None
    assert load(file)["state_dict"]["a"].tolist() == [0, 1, 2]
    for index in [*range(0, len(content), 7), len(content) - 1]:
        file.write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
        with pytest.raises(UserError, match=r"a\.ckpt' is corrupted or not a checkpoint \("):
            load(file)


def test_a_changed_number_in_a_file_without_a_checksum_is_detected(tmp_path):
    file = tmp_path / "a.pt"
    torch.save({"a": torch.full((9,), 7.0)}, file)
    assert load(file)["a"].tolist() == [7.0] * 9
    file.write_bytes(file.read_bytes().replace(torch.tensor(7.0).numpy().tobytes(), b"\0\0\0\0", 1))
    with pytest.raises(UserError, match=r"checksum mismatch in .*data/0"):
        load(file)


@pytest.mark.parametrize(("requested", "used"), [(None, True), (True, True), (False, False)])
def test_a_checkpoint_from_a_url_is_read_without_pickled_objects_unless_requested(requested, used, monkeypatch):
    calls = []
    monkeypatch.setattr(TorchCheckpointIO, "load_checkpoint", lambda _, *arguments: calls.append(arguments))
    AtomicCheckpointIO().load_checkpoint("https://example.org/a.ckpt", weights_only=requested)
    assert calls == [("https://example.org/a.ckpt", "cpu", used)]
