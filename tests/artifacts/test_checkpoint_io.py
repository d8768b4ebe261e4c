"""A checkpoint that is not what was written is refused by one error, whatever loads it."""

import json
import pickle

import pytest
import torch

from trainer.artifacts.checkpoint_io import Sealed
from trainer.core.checksummed_file import damage, load
from trainer.core.errors import UserError

SHORT = ("data=digits", "model=linear", "logger=none", "callbacks=[lean_steps,checkpoint]")


@pytest.fixture
def run(command, tmp_path):
    """The directory of a short run."""
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


SPOILT = [flip, cut, write_text, write_pickle]
WAYS = {
    "a test by the command": ["test", "run/checkpoints/best.ckpt"],
    "a test by the config": [*SHORT, "train=false", "ckpt_path=run/checkpoints/best.ckpt"],
    "a training from it": [*SHORT, "trainer.max_epochs=2", "ckpt_path=run/checkpoints/best.ckpt"],
    "an export": ["export", "run/checkpoints/best.ckpt", "to=a.pt2"],
}


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused_by_one_error(way, spoil, run, command):
    spoil(run / "checkpoints/best.ckpt")
    outcome = command(*WAYS[way])
    assert outcome.code == 1
    [line] = outcome.err.splitlines()
    assert line.startswith("error: 'run/checkpoints/best.ckpt' is damaged, or no checkpoint at all (")


def test_the_best_one_of_a_run_that_is_made_longer_is_refused_before_its_test(command, tmp_path):
    words = ("optimizer=sgd", "optimizer.lr=0", "trainer.max_epochs=1", "hydra.run.dir=run")  # no epoch is any better
    assert command(*SHORT, *words).code == 0
    flip(tmp_path / "run/checkpoints/best.ckpt")
    outcome = command("resume", "run", "trainer.max_epochs=2")
    assert outcome.code == 1
    assert "best.ckpt' is damaged, or no checkpoint at all (its checksum is another one)" in outcome.err
    assert json.loads((tmp_path / "run/result.json").read_text())["state"] == "failed"


def test_a_file_that_is_no_checkpoint_of_lightning_is_refused(command):
    torch.save({"weights": torch.zeros(1)}, "weights.pt")
    outcome = command(*SHORT, "ckpt_path=weights.pt")
    assert outcome.err == "error: 'weights.pt' has no state_dict; expected a checkpoint of Lightning\n"


def test_the_directory_of_a_run_is_refused_with_the_file_to_name(run, command):
    outcome = command(*SHORT, "ckpt_path=run")
    expected = "ckpt_path: 'run' is the directory of a run; name a file: ckpt_path=run/checkpoints/best.ckpt"
    assert expected in outcome.err


def test_weights_to_begin_with_are_refused_too(run, command):
    flip(run / "checkpoints/best.ckpt")
    outcome = command("data=digits", "model=resnet", "model.net.weights=run/checkpoints/best.ckpt")
    assert "model.net.weights: 'run/checkpoints/best.ckpt' is damaged, or no checkpoint at all" in outcome.err


def test_every_changed_byte_of_a_sealed_file_is_noticed(tmp_path):
    file = tmp_path / "a.ckpt"
    Sealed().save_checkpoint({"state_dict": {"a": torch.arange(3)}}, file)
    content = file.read_bytes()
    assert damage(file) is None
    assert load(file)["state_dict"]["a"].tolist() == [0, 1, 2]
    for place in [*range(0, len(content), 7), len(content) - 1]:
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(UserError, match=r"a\.ckpt' is damaged, or no checkpoint at all \("):
            load(file)


def test_a_changed_number_in_a_file_without_a_seal_is_noticed(tmp_path):
    file = tmp_path / "a.pt"
    torch.save({"a": torch.full((9,), 7.0)}, file)
    assert load(file)["a"].tolist() == [7.0] * 9
    file.write_bytes(file.read_bytes().replace(torch.tensor(7.0).numpy().tobytes(), b"\0\0\0\0", 1))
    with pytest.raises(UserError, match=r"data/0 is not what was written"):
        load(file)
