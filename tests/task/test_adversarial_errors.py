"""Settings that adversarial training rejects."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

from trainer.core.errors import UserError
from trainer.data.digits import Digits
from trainer.model.gan import GAN
from trainer.model.linear import Linear
from trainer.task.adversarial import Adversarial
from trainer.task.losses import Penalty
from trainer.task.objective import make_objective
from trainer.task.schedulers import constant, plateau

SPEC = Digits().spec


def make_task(**settings):
    net = settings.pop("net", None) or GAN(SPEC, generator=[4], discriminator=[4])
    objective = make_objective(SPEC, **settings.pop("objective", {}))
    factories = {"optimizer": partial(SGD, lr=0.1), "scheduler": constant} | settings
    return Adversarial(net, objective, **factories)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"net": Linear(SPEC)}, "^model: Linear has no generator and discriminator; use model=gan$"),
        ({"label_smoothing": 1.0}, r"^model.label_smoothing: 1.0 is not in \[0, 1\)$"),
        (
            {"objective": {"label_smoothing": 0.1}},
            "^objective.label_smoothing: .* set model.label_smoothing instead$",
        ),
        (
            {"objective": {"loss": "hinge"}},
            "^objective: loss and penalty have no effect on adversarial training; expected the defaults$",
        ),
        (
            {"objective": {"metrics": ["f1"]}},
            "^objective.metrics: no effect on adversarial training; expected the default$",
        ),
        (
            {"objective": {"penalty": Penalty(l2=1.0)}},
            "^objective: loss and penalty have no effect on adversarial training; expected the defaults$",
        ),
    ],
)
def test_settings_without_effect_are_rejected(settings, message):
    with pytest.raises(UserError, match=message):
        make_task(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": partial(SGD, lr=-1.0)}, r"^optimizer: Invalid learning rate: -1\.0"),
        (
            {"discriminator_optimizer": partial(SGD, lr=-1.0)},
            r"^model\.discriminator_optimizer: Invalid learning rate: -1\.0",
        ),
        ({"scheduler": plateau}, "^scheduler: adversarial training does not support plateau"),
        ({"scheduler": ReduceLROnPlateau}, "^scheduler: adversarial training does not support plateau"),
    ],
)
def test_errors_name_the_key_of_the_invalid_setting(settings, message):
    torch.manual_seed(0)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    with pytest.raises(UserError, match=message):
        pl.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(make_task(**settings), Digits())
