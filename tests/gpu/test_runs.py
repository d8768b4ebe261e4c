"""Runs on a simulated GPU, which have the results of the CPU and do not wait in steps."""

import json

import pytest
import torch
from torch import nn

FEW_BATCHES = ("+trainer.limit_train_batches=4", "+trainer.limit_val_batches=2", "+trainer.limit_test_batches=2")
RUNS = {
    "cnn": ["experiment=digits_cnn", "callbacks=[default,histograms,gradient_clipping,early_stopping]"],
    "lightning's loop": ["experiment=digits_cnn", "~callbacks.fast_loop"],
    "gan": ["experiment=gan_mnist", "data.synthetic=true"],
    "lstm": ["experiment=imdb_lstm", "data.synthetic=true"],
    "attention": ["experiment=imdb_attention", "data.synthetic=true"],
    "resnet": ["experiment=resnet_scratch", "data.synthetic=true", "data.train_size=20"],
    "images": ["data=image_folder", "data.synthetic=true", "data.path=none", "data.size=32", "model=cnn"],
    "stock": ["experiment=stock_lstm", "data.synthetic=true"],
    "rows": ["experiment=diabetes_mlp", "data.synthetic=true", "scheduler=plateau"],
    "xor": ["experiment=xor_tutorial", "trainer.accumulate_grad_batches=2"],
}
SLOW = {"attention", "resnet", "images", "stock", "cnn", "lightning's loop"}


def read_metrics(run):
    return json.loads((run / "result.json").read_text())["metrics"]


def test_the_simulated_gpu_behaves_like_a_gpu(gpu):
    gpu_tensor = torch.ones(3, device="cuda:0")
    cpu_tensor = torch.ones(3)
    assert str((gpu_tensor + 1).device) == str(nn.Linear(3, 1).to("cuda:0").weight.device) == "cuda:0"
    for invalid in (
        lambda: gpu_tensor + cpu_tensor,
        lambda: cpu_tensor[gpu_tensor.long()],
        lambda: gpu_tensor.numpy(),
    ):
        with pytest.raises((RuntimeError, TypeError), match="cuda:0"):
            invalid()
    assert not gpu
    assert float(gpu_tensor.sum()) == 3
    assert sum(gpu.values()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in RUNS])
def test_a_run_has_the_same_results_as_on_the_cpu(name, command, request, monkeypatch):
    monkeypatch.setattr("trainer.model.layers.onednn_linear.is_onednn_faster", lambda: False)  # it rounds differently
    overrides = [*RUNS[name], *FEW_BATCHES, "trainer.max_epochs=2"]
    assert command(*overrides, "trainer=cpu").code == 0
    request.getfixturevalue("gpu")
    answer = command(*overrides, "trainer=gpu")
    assert answer.code == 0, answer.err
    assert "on 1 x cuda" in answer.out
    cpu_metrics, gpu_metrics = map(read_metrics, answer.runs)
    assert cpu_metrics == gpu_metrics


@pytest.mark.parametrize(
    "experiment", ["digits_cnn", pytest.param("gan_mnist data.synthetic=true", marks=pytest.mark.slow)]
)
def test_steps_do_not_wait_for_the_gpu(experiment, command, gpu):
    """The number of waits does not depend on the number of steps if nothing is logged."""
    counts = []
    for steps in (8, 16):
        gpu.clear()
        limits = (f"+trainer.limit_train_batches={steps}", "+trainer.limit_val_batches=1", "trainer.max_epochs=1")
        overrides = f"experiment={experiment} trainer=gpu test=false trainer.log_every_n_steps=1000".split()
        answer = command(*overrides, *limits)
        assert answer.code == 0, answer.err
        counts.append(sum(gpu.values()))
    assert counts[0] == counts[1]


@pytest.mark.slow
def test_a_gpu_run_is_resumed_exactly_with_and_without_a_gpu(command, request):
    overrides = ("experiment=digits_cnn", "scheduler=constant", "test=false")
    assert command(*overrides, "trainer=cpu", "trainer.max_epochs=3", "hydra.run.dir=outputs/uninterrupted").code == 0
    saved = "ckpt_path=outputs/first/checkpoints/last.ckpt"
    request.getfixturevalue("gpu")
    assert command(*overrides, "trainer=gpu", "trainer.max_epochs=2", "hydra.run.dir=outputs/first").code == 0
    assert command(*overrides, "trainer=gpu", "trainer.max_epochs=3", saved, "hydra.run.dir=outputs/gpu").code == 0
    answer = command(*overrides, "trainer=cpu", "trainer.max_epochs=3", saved, "hydra.run.dir=outputs/cpu")
    assert answer.code == 0, answer.err
    names = ("uninterrupted", "gpu", "cpu")
    uninterrupted, on_gpu, on_cpu = (read_metrics(answer.directory / "outputs" / name) for name in names)
    assert uninterrupted == on_gpu == on_cpu
