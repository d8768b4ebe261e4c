"""Runs on a GPU, simulated: the numbers of a CPU, and no step that waits."""

import json

import pytest
import torch
from torch import nn

LITTLE = ("+trainer.limit_train_batches=4", "+trainer.limit_val_batches=2", "+trainer.limit_test_batches=2")
RUNS = {
    "cnn": ["experiment=digits_cnn", "callbacks=[default,histograms,gradient_clipping,early_stopping]"],
    "lightning's loop": ["experiment=digits_cnn", "~callbacks.lean_steps"],
    "gan": ["experiment=gan_mnist", "data.synthetic=true"],
    "lstm": ["experiment=imdb_lstm", "data.synthetic=true"],
    "attention": ["experiment=imdb_attention", "data.synthetic=true"],
    "resnet": ["experiment=resnet_scratch", "data.synthetic=true", "data.train_size=20"],
    "pictures": ["data=image_folder", "data.synthetic=true", "data.path=none", "data.size=32", "model=cnn"],
    "stock": ["experiment=stock_lstm", "data.synthetic=true"],
    "rows": ["experiment=diabetes_mlp", "data.synthetic=true", "scheduler=plateau"],
    "xor": ["experiment=xor_tutorial", "trainer.accumulate_grad_batches=2"],
}


def metrics_of(run):
    return json.loads((run / "result.json").read_text())["metrics"]


def test_it_is_like_a_gpu(gpu):
    there, here = torch.ones(3, device="cuda:0"), torch.ones(3)
    assert str((there + 1).device) == str(nn.Linear(3, 1).to("cuda:0").weight.device) == "cuda:0"
    for wrong in (lambda: there + here, lambda: here[there.long()], lambda: there.numpy()):
        with pytest.raises((RuntimeError, TypeError), match="cuda:0"):
            wrong()
    assert not gpu
    assert float(there.sum()) == 3
    assert sum(gpu.values()) == 1


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_the_numbers_of_one_on_the_cpu(name, command, request, monkeypatch):
    monkeypatch.setattr("trainer.model.layers.onednn_linear.is_faster", lambda: False)  # it rounds in another way
    words = [*RUNS[name], *LITTLE, "trainer.max_epochs=2"]
    assert command(*words, "trainer=cpu").code == 0
    request.getfixturevalue("gpu")
    answer = command(*words, "trainer=gpu")
    assert answer.code == 0, answer.err
    assert "on 1 x cuda" in answer.out
    here, there = map(metrics_of, answer.runs)
    assert here == there


@pytest.mark.parametrize("experiment", ["digits_cnn", "gan_mnist data.synthetic=true"])
def test_steps_wait_for_nothing(experiment, command, gpu):
    """More of them have no more waits, where nothing is logged."""
    counts = []
    for steps in (8, 16):
        gpu.clear()
        limits = (f"+trainer.limit_train_batches={steps}", "+trainer.limit_val_batches=1", "trainer.max_epochs=1")
        words = f"experiment={experiment} trainer=gpu test=false trainer.log_every_n_steps=1000".split()
        answer = command(*words, *limits)
        assert answer.code == 0, answer.err
        counts.append(sum(gpu.values()))
    assert counts[0] == counts[1]


def test_a_run_goes_on_exactly_there_and_what_a_gpu_saved_goes_on_without_one(command, request):
    words = ("experiment=digits_cnn", "scheduler=constant", "test=false")
    assert command(*words, "trainer=cpu", "trainer.max_epochs=3", "hydra.run.dir=outputs/whole").code == 0
    saved = "ckpt_path=outputs/first/checkpoints/last.ckpt"
    request.getfixturevalue("gpu")
    assert command(*words, "trainer=gpu", "trainer.max_epochs=2", "hydra.run.dir=outputs/first").code == 0
    assert command(*words, "trainer=gpu", "trainer.max_epochs=3", saved, "hydra.run.dir=outputs/there").code == 0
    answer = command(*words, "trainer=cpu", "trainer.max_epochs=3", saved, "hydra.run.dir=outputs/here")
    assert answer.code == 0, answer.err
    whole, there, here = (metrics_of(answer.directory / "outputs" / name) for name in ("whole", "there", "here"))
    assert whole == there == here
