"""Staged unfreezing: what moves in which epoch, with which rate, and the same after going on from a checkpoint."""

import logging
from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.optim import SGD, AdamW

from trainer.callbacks.unfreezing import StagedUnfreezing
from trainer.core.errors import UserError
from trainer.core.spec import DataSpec
from trainer.data.base import TensorData
from trainer.data.loading.split import Split
from trainer.model.mlp import MLP
from trainer.model.resnet import ResNet
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant, cosine
from trainer.task.supervised import Supervised

pytestmark = pytest.mark.filterwarnings(
    "ignore:Found .* in eval mode"
)  # as `trainer.core.warning_filters` does for a run
STAGES = {1: ["layer4"], 3: ["layer3", "layer2.0"]}


class Pictures(TensorData):
    """Eight random images of three classes, two batches an epoch."""

    spec = DataSpec("pictures", "image", (3, 8, 8), "classes", 3, class_names=("a", "b", "c"))

    def load(self):
        random = torch.Generator().manual_seed(5)
        split = Split(torch.randn(8, 3, 8, 8, generator=random), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
        return {"train": split, "val": split, "test": split}


class Watch(pl.Callback):
    """Notes after each epoch which children of the network have moved in it, parameters and buffers, and the rates."""

    def __init__(self):
        self.moved, self.rates, self.before = [], [], None

    def on_train_epoch_start(self, trainer, pl_module):
        self.before = {name: value.clone() for name, value in pl_module.net.state_dict().items()}
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    def on_train_epoch_end(self, trainer, pl_module):
        if self.before is None:  # this run began inside the epoch
            return
        after = pl_module.net.state_dict()
        moved = [name for name in after if not torch.equal(after[name], self.before[name])]
        self.moved.append(sorted({".".join(name.split(".")[: 2 if "layer2" in name else 1]) for name in moved}))


def fit(epochs, *callbacks, ckpt=None, net=None, optimizer=None, scheduler=constant, **settings):
    torch.manual_seed(1)
    net = net or ResNet(Pictures.spec, depth=18, width=4, trainable="head")
    make = optimizer or partial(AdamW, lr=0.01, weight_decay=0.5)
    task = Supervised(net, objective_for(Pictures.spec), make, scheduler)
    watch = Watch()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, callbacks=[*callbacks, watch], **quiet | settings
    )
    trainer.fit(task, Pictures(batch_size=4), ckpt_path=ckpt)
    return trainer, task, watch


def test_parts_begin_to_learn_after_so_many_epochs_and_until_then_nothing_of_them_moves(caplog):
    with caplog.at_level(logging.INFO):
        _, _, watch = fit(5, StagedUnfreezing(stages=STAGES))
    later = ["fc", "layer2.0", "layer3", "layer4"]
    assert watch.moved == [["fc"], ["fc", "layer4"], ["fc", "layer4"], later, later]
    said = [record.message for record in caplog.records if record.name == "trainer.callbacks.unfreezing"]
    assert said == ["epoch 2: layer4 begin to learn", "epoch 4: layer3, layer2.0 begin to learn"]


@pytest.mark.parametrize("stop", [1, 2, 4])
@pytest.mark.parametrize("lr_factor", [1.0, 0.1])
def test_a_training_that_goes_on_ends_with_the_very_weights_of_one_that_was_never_interrupted(
    stop, lr_factor, tmp_path
):
    _, task, _ = fit(5, StagedUnfreezing(stages=STAGES, lr_factor=lr_factor))
    first, _, _ = fit(stop, StagedUnfreezing(stages=STAGES, lr_factor=lr_factor))
    first.save_checkpoint(tmp_path / "stopped.ckpt")
    _, resumed, _ = fit(5, StagedUnfreezing(stages=STAGES, lr_factor=lr_factor), ckpt=tmp_path / "stopped.ckpt")
    weights = resumed.state_dict()
    assert [name for name, value in task.state_dict().items() if not torch.equal(value, weights[name])] == []


class StopInside(pl.Callback):
    """Saves a checkpoint inside the fourth epoch, after the first of its two steps."""

    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 7:
            trainer.save_checkpoint(self.path)


def test_going_on_inside_an_epoch_is_the_same_too(tmp_path):
    _, task, _ = fit(5, StagedUnfreezing(stages=STAGES), StopInside(tmp_path / "inside.ckpt"))
    _, resumed, _ = fit(5, StagedUnfreezing(stages=STAGES), ckpt=tmp_path / "inside.ckpt")
    weights = resumed.state_dict()
    assert [name for name, value in task.state_dict().items() if not torch.equal(value, weights[name])] == []


def test_the_named_parts_learn_with_their_share_of_the_rate_which_follows_the_schedule():
    _, _, watch = fit(4, StagedUnfreezing(stages=STAGES, lr_factor=0.1), scheduler=partial(cosine, final_factor=0.5))
    assert watch.rates[0] == pytest.approx([0.01, 0.001])
    # after 6 of 8 steps, 6 / 7 of half a cosine down to a half: 0.5 + 0.5 * (1 + cos(6 pi / 7)) / 2
    assert watch.rates[3] == pytest.approx([0.01 * 0.524758, 0.001 * 0.524758], rel=1e-5)


def test_a_step_of_the_named_parts_is_shorter_by_the_factor_and_that_of_the_others_is_not():
    steps = {}
    for factor in (1.0, 0.25):
        torch.manual_seed(0)
        net = MLP(Pictures.spec, hidden=[4])
        before = [weight.detach().clone() for weight in net.parameters()]
        callback = StagedUnfreezing(stages={0: ["layers.0"]}, lr_factor=factor)
        fit(1, callback, net=net, optimizer=partial(SGD, lr=1.0), limit_train_batches=1)
        steps[factor] = [after.detach() - was for after, was in zip(net.parameters(), before, strict=True)]
    slow, fast = steps[0.25], steps[1.0]
    assert all(step.any() for step in fast)
    assert torch.allclose(slow[0], fast[0] / 4, atol=1e-6)  # layers.0, weight
    assert torch.equal(slow[2], fast[2])  # layers.2, weight


def test_any_network_will_do_and_what_no_stage_names_learns_from_the_start():
    torch.manual_seed(0)
    net = MLP(Pictures.spec, hidden=[4], batch_norm=True)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fit(1, StagedUnfreezing(stages={1: ["layers.0", "layers.1"]}), net=net)
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"layers.3.weight", "layers.3.bias"}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({1: ["layr4"]}, r"the network has no part 'layr4'; did you mean 'layer4"),
        ({1: ["hoof"]}, r"the network has no part 'hoof'; there are: avgpool, bn1, conv1, fc, layer1"),
        ({1: ["layer4"], 2: ["layer4"]}, r"'layer4' is named twice, or lies in 'layer4'; name it once"),
        ({1: ["layer4"], 2: ["layer4.0"]}, r"'layer4.0' is named twice, or lies in 'layer4'; name it once"),
        ({1: ["fc"]}, r"in epoch 1 nothing learns; begin with stage 0"),
    ],
)
def test_stages_that_do_not_fit_the_network_are_refused(stages, message):
    with pytest.raises(UserError, match=rf"^callbacks\.unfreezing\.stages: {message}"):
        fit(1, StagedUnfreezing(stages=stages))


def test_stages_and_factors_out_of_range_are_refused():
    for stages in ({}, {-1: ["fc"]}):
        with pytest.raises(UserError, match=r"^callbacks\.unfreezing\.stages: .* does not say after how many epochs"):
            StagedUnfreezing(stages=stages)
    with pytest.raises(UserError, match=r"^callbacks\.unfreezing\.lr_factor: 0 is not greater than 0$"):
        StagedUnfreezing(stages={0: ["fc"]}, lr_factor=0)


def test_several_processes_are_refused():
    callback, two = StagedUnfreezing(stages=STAGES), type("Two", (), {"world_size": 2})()
    with pytest.raises(UserError, match=r"^callbacks\.unfreezing: works in one process alone; set trainer\.devices=1$"):
        callback.setup(two, pl.LightningModule(), "fit")


def test_a_command_may_say_it_all(command):
    outcome = command(
        *("model=resnet", "model.net.depth=10", "model.net.width=4", "model.net.trainable=head"),
        *("callbacks=[default,unfreezing]", "callbacks.unfreezing.stages={1:[layer4]}"),
        *("callbacks.unfreezing.lr_factor=0.5", "debug=limit", "trainer.max_epochs=2"),
    )
    assert outcome.code == 0, outcome.err
    assert "epoch 2: layer4 begin to learn" in outcome.out
    assert "Warning" not in outcome.err
