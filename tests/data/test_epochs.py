"""The next epoch of a data set, when Lightning requests loaders again and after a checkpoint."""

from functools import partial
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from torch.optim import SGD

from trainer.data.line import Line
from trainer.model.linear import Linear
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant
from trainer.task.supervised import Supervised

ON_CPU = SimpleNamespace(root_device=torch.device("cpu"))


class Order(pl.Callback):
    """Records the inputs of each training batch."""

    def __init__(self):
        self.inputs = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.inputs.append(batch[0].flatten().tolist())


def ready(**settings):
    data = Line(**{"points": 12, "val_fraction": 0, "batch_size": 4} | settings)
    data.setup("fit")
    return data


def epoch(batches):
    return torch.cat([inputs for inputs, _ in batches]).flatten().tolist()


def train(data=None, epochs=3, ckpt_path=None, **settings):
    """Fit for some epochs of 3 steps; returns the trainer and the inputs of each batch."""
    data, order = data or ready(), Order()
    disabled = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, log_every_n_steps=1, callbacks=[order], **disabled | settings
    )
    torch.manual_seed(0)
    task = Supervised(Linear(data.spec), make_objective(data.spec), partial(SGD, lr=0.1), constant)
    trainer.fit(task, data, ckpt_path=ckpt_path)
    return trainer, order.inputs


def test_a_loader_requested_in_each_epoch_continues_with_the_next_epoch():
    _, expected = train()
    _, reloaded = train(reload_dataloaders_every_n_epochs=1)
    assert reloaded == expected
    assert len({tuple(expected[0]), tuple(expected[3]), tuple(expected[6])}) == 3


def test_a_loader_requested_again_before_its_first_batch_starts_the_same_epoch():
    data = ready()
    first = epoch(ready().train_dataloader())
    data.train_dataloader()
    iter(data.train_dataloader())
    assert epoch(data.train_dataloader()) == first


def test_the_state_is_the_number_of_started_epochs():
    data = ready()
    states = [data.state_dict()]
    loader = data.train_dataloader()
    states.append(data.state_dict())
    next(iter(loader))
    states.append(data.state_dict())
    list(loader)
    states.append(data.state_dict())
    next(iter(data.train_dataloader()))
    states.append(data.state_dict())
    assert states == [{"epochs_begun": number} for number in (0, 0, 1, 2, 3)]


def test_the_state_is_kept_until_a_loader_is_requested():
    data = ready()
    data.load_state_dict({"epochs_begun": 7})
    assert data.state_dict() == {"epochs_begun": 7}
    data.train_dataloader()
    assert data.state_dict() == {"epochs_begun": 7}


def test_restored_data_continue_with_the_next_epoch():
    uninterrupted, resumed = ready().train_dataloader(), ready()
    epochs = [epoch(uninterrupted) for _ in range(4)]
    resumed.load_state_dict({"epochs_begun": 2})
    loader = resumed.train_dataloader()
    assert [epoch(loader), epoch(loader)] == epochs[2:]


@pytest.mark.parametrize("reloads", [0, 1])
def test_a_run_resumed_at_the_end_of_an_epoch_reads_the_same_batches(tmp_path, reloads):
    _, uninterrupted = train(epochs=4)
    stopped, first_part = train(epochs=2, reload_dataloaders_every_n_epochs=reloads)
    stopped.save_checkpoint(tmp_path / "at-two.ckpt")
    settings = {"ckpt_path": tmp_path / "at-two.ckpt", "reload_dataloaders_every_n_epochs": reloads}
    _, second_part = train(epochs=4, **settings)
    assert first_part + second_part == uninterrupted


def test_training_is_even_between_processes_and_evaluation_repeats_nothing():
    shares = {"train": [], "val": [], "test": []}
    for rank in range(5):
        data = ready(points=12)
        data.trainer = SimpleNamespace(strategy=ON_CPU, global_rank=rank, world_size=5)
        for name, loader in (
            ("train", data.train_dataloader()),
            ("val", data.val_dataloader()),
            ("test", data.test_dataloader()),
        ):
            shares[name].append(len(epoch(loader)))
    assert shares == {"train": [3, 3, 3, 3, 3], "val": [3, 3, 2, 2, 2], "test": [3, 3, 2, 2, 2]}


def test_overfitted_batches_stay_the_same_and_are_even_too():
    shares = []
    for rank in range(5):
        data = ready(points=12)
        data.trainer = SimpleNamespace(strategy=ON_CPU, global_rank=rank, world_size=5, overfit_batches=1)
        loader = data.train_dataloader()
        first = epoch(loader)
        assert epoch(loader) == first
        shares.append(len(first))
    assert shares == [3, 3, 3, 3, 3]
