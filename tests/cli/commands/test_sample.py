"""Tests of `trainer sample`: images, weights and messages."""

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.inference.load_checkpoint import load_checkpoint

GAN = ["model=gan", "data=digits", "model.net.generator=[8]", "model.net.discriminator=[8]", "trainer.max_epochs=2"]


@pytest.fixture
def run(command):
    """Train a small GAN and return the run directory."""
    outcome = command(*GAN, "model.net.ema_decay=0.9", "hydra.run.dir=mine")
    assert outcome.code == 0, outcome.err
    return outcome.directory / "mine"


def test_it_writes_an_image_and_an_array_and_prints_their_paths(run, command):
    outcome = command("sample", "mine", "--count=12", "--seed=5")
    assert (outcome.code, outcome.out) == (0, "mine/samples.npy\nmine/samples.png\n")
    numbers = np.load(run / "samples.npy")
    assert (numbers.shape, numbers.dtype) == ((12, 1, 8, 8), np.float32)
    assert 0 <= numbers.min() < numbers.max() <= 1
    with Image.open(run / "samples.png") as image:
        assert image.size == (2 + 8 * 58, 2 + 2 * 58)  # rows of 8


def test_samples_use_the_averaged_weights_of_the_last_epoch(run, command):
    command("sample", "mine", "--count=3", "--seed=5")
    weights = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    made = load_checkpoint(run, "last")
    net, spec = made.net, made.spec
    assert spec.name == "digits"
    assert not net.training
    assert all(torch.equal(net.state_dict()[name[4:]], weights[name]) for name in weights)
    with torch.no_grad():
        expected = net.generator_average(torch.randn(3, 100, generator=torch.Generator().manual_seed(5)))
    assert np.allclose(np.load(run / "samples.npy"), expected.numpy(), atol=1e-6)


def test_samples_depend_on_the_seed_only(run, command):
    made = []
    for seed in (1, 1, 2):
        command("sample", "mine", "--count=2", f"--seed={seed}")
        made.append(np.load(run / "samples.npy"))
    assert (made[0] == made[1]).all()
    assert not (made[0] == made[2]).all()


def test_a_network_in_the_working_directory_must_be_declared_by_another_user(command, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from trainer.model.gan import GAN\n\n\nclass Own(GAN):\n    pass\n")
    assert command(*GAN, "model.net._target_=mine.Own", "hydra.run.dir=own").code == 0
    assert command("sample", "own").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    undeclared = command("sample", "own")
    assert undeclared.code == 1
    assert "model.net: mine.Own: package is not declared as trusted" in undeclared.err
    assert "add --trust=mine (or set TRAINER_TRUST=mine)" in undeclared.err
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    assert command("sample", "own", "--trust=mine").code == 0


def test_a_checkpoint_file_is_sufficient(run, command, tmp_path):
    shutil.move(run / "checkpoints/last.ckpt", tmp_path / "gan.ckpt")
    shutil.rmtree(run)
    assert command("sample", "gan.ckpt", "--count=4").out == "samples.npy\nsamples.png\n"
    assert command("sample", "gan.ckpt", "--count=4", "--to=here").out == "here/samples.npy\nhere/samples.png\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "sample: the following arguments are required: path  (see trainer sample --help)\n"),
        (["--count=3"], "sample: the following arguments are required: path"),
        (["nowhere"], "no checkpoint and no run directory 'nowhere'"),
        (["empty"], "no checkpoint 'empty/checkpoints/last.ckpt'; the run has saved none"),
        (["linear", "--checkpoint=next"], "no checkpoint 'linear/checkpoints/next.ckpt'; there are: best, last"),
        (["linear"], "'linear' contains a Linear, which generates no samples; use model=gan"),
        (["linear", "--coutn=3"], "sample: unrecognized arguments: --coutn=3; did you mean '--count' or '--json'?"),
        (["linear", "--count=0"], "sample: argument --count: '0' is not an integer of at least 1"),
        (["linear", "--seed=x"], "sample: argument --seed: 'x' is not an integer of at least 0"),
        (["foreign"], "'foreign/checkpoints/last.ckpt' contains no config; expected a checkpoint of this trainer\n"),
    ],
)
def test_errors_are_reported_without_a_traceback(arguments, message, command, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign/checkpoints").mkdir(parents=True)
    torch.save({"state_dict": {}}, tmp_path / "foreign/checkpoints/last.ckpt")
    if "linear" in arguments:
        command("model=linear", "trainer.max_epochs=1", "hydra.run.dir=linear")
    outcome = command("sample", *arguments)
    assert outcome.code == (2 if "argument" in message else 1)
    assert outcome.err.startswith(f"error: {message}")
    assert outcome.out == ""


def test_it_appears_in_the_help(command):
    assert re.search(r"  sample +Generate new samples with a trained generative network", command("--help").out)
    assert command("sample", "--help").out.splitlines()[2].startswith("trainer sample RUN_OR_CHECKPOINT [--count 64]")
