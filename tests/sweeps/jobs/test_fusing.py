"""Choice of the jobs that are trained together."""

import pytest

from trainer.config.compose import Composer
from trainer.core.errors import UserError
from trainer.sweeps.jobs.fusing import DEFAULT_GROUP_SIZE, Fusing
from trainer.sweeps.store.job import Job

XOR = ["data=xor", "model=mlp"]
CNN = ["data=digits", "model=cnn"]
LSTM = ["data=stock", "data.synthetic=true", "model=lstm"]


def make_job(words, number=0):
    return Job(number, f"identity-{number}", [*words], "planned")


def find_groups(setting, *jobs):
    fusing = Fusing(Composer(), setting)
    return [fusing.find_group(make_job(words, number)) for number, words in enumerate(jobs)]


@pytest.mark.parametrize("setting", ["yes", "always", 0, 1, -3, 2.5, None, "", [2], "Auto"])
def test_other_settings_are_rejected(setting):
    with pytest.raises(UserError, match=r"^sweep.fuse: .* is invalid; expected auto, true, false, or a number"):
        Fusing(Composer(), setting)


@pytest.mark.parametrize(("setting", "size"), [("auto", DEFAULT_GROUP_SIZE), (True, DEFAULT_GROUP_SIZE), (5, 5)])
def test_the_setting_limits_the_size_of_a_group(setting, size):
    assert Fusing(Composer(), setting).max_size == size


def test_jobs_that_differ_only_in_numbers_are_in_one_group():
    first, *others = find_groups(
        "auto",
        [*XOR, "seed=1", "optimizer.lr=0.1"],
        [*XOR, "seed=2", "optimizer.lr=1e-3"],
        [*XOR, "seed=2", "optimizer.lr=1e-3", "optimizer=sgd"],
        [*XOR, "seed=1", "optimizer.nesterov=true", "optimizer=sgd"],
        [*XOR, "seed=1", "model.net.hidden=[4]"],
        [*XOR, "seed=1", "model.net.hidden=[5]"],
    )
    assert first is not None
    assert first == others[0]
    assert len({first, *others}) == 5


def test_large_networks_and_convolutions_are_trained_together_only_on_request():
    large = [*XOR, "model.net.hidden=[2048,2048]"]
    assert find_groups("auto", CNN, large) == [None, None]
    assert None not in find_groups(True, CNN, large)
    assert None not in find_groups(8, CNN, large)


def test_other_jobs_run_alone_unless_the_setting_requires_a_group():
    accelerator = [*XOR, "trainer.accelerator=gpu"]
    assert find_groups("auto", LSTM, [*XOR, "train=false"], accelerator) == [None] * 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (LSTM, "PyTorch cannot batch recurrent layers: LSTM"),
        (["data=digits", "model=gan"], "Adversarial is not trainer.task.supervised.Supervised"),
        (
            ["data=digits", "data.augmentation=[mixup]"],
            "mixup and cutmix in data.augmentation combine the examples of a batch",
        ),
        (
            ["data=digits", "+model.test_time_augmentation=mirror"],
            "model.test_time_augmentation computes several outputs of each example",
        ),
        ([*XOR, "train=false"], "train=false: there are no steps"),
        ([*XOR, "trainer.devices=2"], "trainer: runs on several devices or on an accelerator are not trained together"),
    ],
)
def test_a_job_that_cannot_be_trained_with_others_is_one_error_if_that_is_required(words, reason):
    with pytest.raises(UserError) as error:
        find_groups(True, words)
    assert str(error.value) == f"sweep.fuse: job 0 ({' '.join(words)}): {reason}"
