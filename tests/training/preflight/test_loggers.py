"""Preflight checks loggers without building one."""

import pytest

from trainer.core.installation import format_install_command
from trainer.training.preflight import loggers

RAW = "+logger.raw._target_=pytorch_lightning.loggers"


@pytest.fixture
def no_optional_package(monkeypatch):
    """Hide the packages of all experiment trackers."""
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    monkeypatch.setattr(loggers, "sys", type("Sys", (), {"modules": {}}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "key", "package", "extra"),
    [
        ("logger=wandb", "logger.wandb", "wandb", "wandb"),
        ("logger=mlflow", "logger.mlflow", "mlflow", "mlflow"),
        ("logger=comet", "logger.comet", "comet_ml", "comet"),
        (f"{RAW}.WandbLogger", "logger.raw", "wandb", "wandb"),
    ],
)
def test_a_missing_package_is_one_line_before_the_training(override, key, package, extra, command, no_optional_package):
    done = command("data=xor", override)
    assert done.code == 1
    [line] = [line for line in done.err.splitlines() if "needs the package" in line]
    assert f"{key}: needs the package '{package}'; install it with {format_install_command(extra)}" in line
    assert not [*done.directory.rglob("metrics.csv")]


def test_each_missing_package_of_several_loggers_is_reported(command, no_optional_package):
    done = command("check", "data=xor", "logger=[tensorboard,wandb,mlflow]")
    assert done.code == 1
    assert "'wandb'" in done.out
    assert "'mlflow'" in done.out


@pytest.mark.parametrize("arguments", [("check",), ("check", "-m", "seed=1,2")])
def test_a_check_builds_no_logger(arguments, command, monkeypatch):
    from trainer.artifacts.loggers import ResilientTensorBoardLogger, ResumableCSVLogger

    def refuse(*_, **__):
        raise AssertionError("built")

    for cls in (ResilientTensorBoardLogger, ResumableCSVLogger):
        monkeypatch.setattr(cls, "__init__", refuse)
    done = command(*arguments, "data=xor")
    assert done.code == 0, done.err


def test_a_function_that_returns_a_logger_is_accepted(command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from pytorch_lightning.loggers import CSVLogger\n\n\ndef build():\n    return CSVLogger('mine')\n"
    )
    done = command("data=xor", "trainer.max_epochs=1", "logger=none", "+logger.mine._target_=mine.build")
    assert done.code == 0, done.err
    assert [*tmp_path.rglob("mine/**/metrics.csv")]
