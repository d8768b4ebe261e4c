"""Adversarial: settings that it refuses, each with the key to change."""

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
from trainer.task.objective import objective_for
from trainer.task.schedulers import constant, plateau

SPEC = Digits().spec


def adversarial(**settings):
    net = settings.pop("net", None) or GAN(SPEC, generator=[4], discriminator=[4])
    objective = objective_for(SPEC, **settings.pop("objective", {}))
    how = {"optimizer": partial(SGD, lr=0.1), "scheduler": constant} | settings
    return Adversarial(net, objective, **how)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"net": Linear(SPEC)}, "^model.task: Linear has no generator and discriminator; model=gan has$"),
        ({"label_smoothing": 1.0}, r"^model.task.label_smoothing: 1.0 is not in \[0, 1\)$"),
        ({"objective": {"label_smoothing": 0.1}}, "^objective.label_smoothing: .* set model.task.label_smoothing$"),
        ({"objective": {"loss": "hinge"}}, "^objective: .* leave loss and penalty as they are$"),
        ({"objective": {"metrics": ["f1"]}}, "^objective.metrics: .* has metrics of its own; leave it as it is$"),
        ({"objective": {"penalty": Penalty(l2=1.0)}}, "^objective: .* leave loss and penalty as they are$"),
    ],
)
def test_what_has_no_meaning_is_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        adversarial(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": partial(SGD, lr=-1.0)}, r"^optimizer: Invalid learning rate: -1\.0"),
        (
            {"discriminator_optimizer": partial(SGD, lr=-1.0)},
            r"^model\.task\.discriminator_optimizer: Invalid learning rate: -1\.0",
        ),
        ({"scheduler": plateau}, "^scheduler: no loss of an adversarial training falls to a plateau"),
        ({"scheduler": ReduceLROnPlateau}, "^scheduler: no loss of an adversarial training falls to a plateau"),
    ],
)
def test_a_refusal_is_blamed_on_the_key_that_was_wrong(wrong, message):
    torch.manual_seed(0)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    with pytest.raises(UserError, match=message):
        pl.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(adversarial(**wrong), Digits())
