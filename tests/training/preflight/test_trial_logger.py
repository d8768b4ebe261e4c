"""Loggers of a trial in the place of those of the run."""

import copy
import os

import pytest
from omegaconf import OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from trainer.training.preflight.trial_logger import TrialLogger, make_trial_loggers


class History(Logger):
    name = "history"
    version = 0

    def __init__(self):
        super().__init__()
        self.records = []

    def log_metrics(self, metrics, step=None): ...
    def log_hyperparams(self, params): ...


def make_logger():
    return History()


def test_there_is_a_logger_for_each_one_of_the_config():
    targets = ["pytorch_lightning.loggers.TensorBoardLogger", "pytorch_lightning.loggers.CSVLogger"]
    config = OmegaConf.create({"logger": {str(index): {"_target_": target} for index, target in enumerate(targets)}})
    loggers = make_trial_loggers(config, "directory")
    assert [isinstance(logger, TensorBoardLogger) for logger in loggers] == [True, False]
    assert isinstance(loggers[1], CSVLogger)
    assert make_trial_loggers(OmegaConf.create({"logger": None}), "directory") == []


def test_code_for_a_tracker_runs_without_it(tmp_path):
    logger = TrialLogger(WandbLogger, str(tmp_path))
    logger.log_image(key="image", images=[])
    logger.log_hyperparams({"lr": 0.1})
    logger.experiment.config.update({"lr": 0.1})
    logger.experiment.summary["accuracy"] = 1
    assert os.path.join(logger.experiment.dir, "file")
    assert os.path.join(logger.save_dir, "file").startswith(str(tmp_path))
    assert isinstance(copy.deepcopy(logger), WandbLogger)


@pytest.mark.parametrize("cls", [TensorBoardLogger, CSVLogger])
def test_a_method_of_another_logger_is_missing(cls):
    with pytest.raises(AttributeError, match=rf"^'{cls.__name__}' object has no attribute 'log_image'$"):
        TrialLogger(cls, "directory").log_image(key="image", images=[])


@pytest.mark.parametrize("target", [f"{__name__}.History", f"{__name__}.make_logger"])
def test_loggers_of_the_user_may_have_any_attribute(target):
    [logger] = make_trial_loggers(OmegaConf.create({"logger": {"mine": {"_target_": target}}}), "directory")
    logger.records.append(1)
