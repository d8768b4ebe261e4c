"""Parts that are trained in each epoch, their learning rates, and resuming from a checkpoint."""

import logging
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.optim import SGD, AdamW

from trainer.callbacks.unfreezing import Unfreezing
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.model.mlp import MLP
from trainer.model.resnet import ResNet
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant, cosine
from trainer.task.supervised import Supervised

pytestmark = pytest.mark.filterwarnings("ignore:Found .* in eval mode")  # as in `trainer.core.warning_filters`
STAGES = {1: ["layer4"], 3: ["layer3", "layer2.0"]}


class Pictures(TensorData):
    """Eight random images of three classes, two batches per epoch."""

    spec = DataSpec("pictures", "image", (3, 8, 8), "classification", 3, class_names=("a", "b", "c"))

    def load(self):
        random = torch.Generator().manual_seed(5)
        split = Split(torch.randn(8, 3, 8, 8, generator=random), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
        return {"train": split, "val": split, "test": split}


class Recorder(pl.Callback):
    """Records the children of the network that changed in each epoch, and the learning rates."""

    def __init__(self):
        self.changed, self.rates, self.previous = [], [], None

    def on_train_epoch_start(self, trainer, pl_module):
        self.previous = {name: value.clone() for name, value in pl_module.net.state_dict().items()}
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    def on_train_epoch_end(self, trainer, pl_module):
        if self.previous is None:  # this run started inside the epoch
            return
        after = pl_module.net.state_dict()
        changed = [name for name in after if not torch.equal(after[name], self.previous[name])]
        self.changed.append(sorted({".".join(name.split(".")[: 2 if "layer2" in name else 1]) for name in changed}))


def fit(epochs, *callbacks, ckpt=None, net=None, optimizer=None, scheduler=constant, **settings):
    torch.manual_seed(1)
    net = net or ResNet(Pictures.spec, depth=18, width=4, trainable="head")
    make = optimizer or partial(AdamW, lr=0.01, weight_decay=0.5)
    task = Supervised(net, make_objective(Pictures.spec), make, scheduler)
    recorder = Recorder()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, callbacks=[*callbacks, recorder], **quiet | settings
    )
    trainer.fit(task, Pictures(batch_size=4), ckpt_path=ckpt)
    return trainer, task, recorder


def test_parts_do_not_change_before_their_stage(caplog):
    with caplog.at_level(logging.INFO):
        _, _, recorder = fit(5, Unfreezing(stages=STAGES))
    later = ["fc", "layer2.0", "layer3", "layer4"]
    assert recorder.changed == [["fc"], ["fc", "layer4"], ["fc", "layer4"], later, later]
    messages = [record.message for record in caplog.records if record.name == "trainer.callbacks.unfreezing"]
    assert messages == ["epoch 2: unfreezing layer4", "epoch 4: unfreezing layer3, layer2.0"]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 2, 4])
@pytest.mark.parametrize("lr_factor", [1.0, 0.1])
def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(stop, lr_factor, tmp_path):
    _, task, _ = fit(5, Unfreezing(stages=STAGES, lr_factor=lr_factor))
    first, _, _ = fit(stop, Unfreezing(stages=STAGES, lr_factor=lr_factor))
    first.save_checkpoint(tmp_path / "stopped.ckpt")
    _, resumed, _ = fit(5, Unfreezing(stages=STAGES, lr_factor=lr_factor), ckpt=tmp_path / "stopped.ckpt")
    weights = resumed.state_dict()
    assert [name for name, value in task.state_dict().items() if not torch.equal(value, weights[name])] == []


class SaveInside(pl.Callback):
    """Saves a checkpoint inside the fourth epoch, after the first of its two steps."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 7:
            trainer.save_checkpoint(self.path)


def test_resuming_inside_an_epoch_gives_the_same_weights(tmp_path):
    _, task, _ = fit(5, Unfreezing(stages=STAGES), SaveInside(tmp_path / "inside.ckpt"))
    _, resumed, _ = fit(5, Unfreezing(stages=STAGES), ckpt=tmp_path / "inside.ckpt")
    weights = resumed.state_dict()
    assert [name for name, value in task.state_dict().items() if not torch.equal(value, weights[name])] == []


def test_the_reduced_rate_of_the_named_parts_follows_the_schedule():
    _, _, recorder = fit(4, Unfreezing(stages=STAGES, lr_factor=0.1), scheduler=partial(cosine, final_factor=0.5))
    assert recorder.rates[0] == pytest.approx([0.01, 0.001])
    # after 6 of 8 steps, at 6 / 7 of half a cosine: 0.5 + 0.5 * (1 + cos(6 pi / 7)) / 2
    assert recorder.rates[3] == pytest.approx([0.01 * 0.524758, 0.001 * 0.524758], rel=1e-5)


def test_lr_factor_only_scales_the_steps_of_the_named_parts():
    steps = {}
    for factor in (1.0, 0.25):
        torch.manual_seed(0)
        net = MLP(Pictures.spec, hidden=[4])
        initial = [weight.detach().clone() for weight in net.parameters()]
        callback = Unfreezing(stages={0: ["layers.0"]}, lr_factor=factor)
        fit(1, callback, net=net, optimizer=partial(SGD, lr=1.0), limit_train_batches=1)
        steps[factor] = [weight.detach() - old for weight, old in zip(net.parameters(), initial, strict=True)]
    slow, fast = steps[0.25], steps[1.0]
    assert all(step.any() for step in fast)
    assert torch.allclose(slow[0], fast[0] / 4, atol=1e-6)  # layers.0, weight
    assert torch.equal(slow[2], fast[2])  # layers.2, weight


def test_parts_that_no_stage_names_are_trained_from_the_start():
    torch.manual_seed(0)
    net = MLP(Pictures.spec, hidden=[4], batch_norm=True)
    initial = {name: value.clone() for name, value in net.state_dict().items()}
    fit(1, Unfreezing(stages={1: ["layers.0", "layers.1"]}), net=net)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, initial[name])}
    assert changed == {"layers.3.weight", "layers.3.bias"}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({1: ["layr4"]}, r"the network has no part 'layr4'; did you mean 'layer4"),
        ({1: ["hoof"]}, r"the network has no part 'hoof'; there are: avgpool, bn1, conv1, fc, layer1"),
        ({1: ["layer4"], 2: ["layer4"]}, r"'layer4' is equal to 'layer4' or part of it; list it once"),
        ({1: ["layer4"], 2: ["layer4.0"]}, r"'layer4.0' is equal to 'layer4' or part of it; list it once"),
        ({1: ["fc"]}, r"no parameter is trainable in epoch 1; add a stage 0"),
    ],
)
def test_stages_that_do_not_fit_the_network_are_rejected(stages, message):
    with pytest.raises(UserError, match=rf"^callbacks\.unfreezing\.stages: {message}"):
        fit(1, Unfreezing(stages=stages))


def test_stages_and_factors_out_of_range_are_rejected():
    for stages in ({}, {-1: ["fc"]}):
        with pytest.raises(
            UserError, match=r"^callbacks\.unfreezing\.stages: .* is invalid; expected names by a number of epochs$"
        ):
            Unfreezing(stages=stages)
    with pytest.raises(UserError, match=r"^callbacks\.unfreezing\.lr_factor: 0 is not greater than 0$"):
        Unfreezing(stages={0: ["fc"]}, lr_factor=0)


def test_several_processes_are_rejected():
    callback, two = Unfreezing(stages=STAGES), type("Two", (), {"world_size": 2})()
    with pytest.raises(
        UserError, match=r"^callbacks\.unfreezing: only works in a single process; set trainer\.devices=1$"
    ):
        callback.setup(two, pl.LightningModule(), "fit")


def test_stages_can_be_set_on_the_command_line(command):
    outcome = command(
        *("model=resnet", "model.net.depth=10", "model.net.width=4", "model.net.trainable=head"),
        *("callbacks=[default,unfreezing]", "callbacks.unfreezing.stages={1:[layer4]}"),
        *("callbacks.unfreezing.lr_factor=0.5", "debug=limit", "trainer.max_epochs=2"),
    )
    assert outcome.code == 0, outcome.err
    assert "epoch 2: unfreezing layer4" in outcome.out
    assert "Warning" not in outcome.err
