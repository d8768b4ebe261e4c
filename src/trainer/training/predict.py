"""Predictions of a run's LightningModule for the examples of its data module, with Lightning's `Trainer.predict`."""

import contextlib
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, LightningModule

from trainer.artifacts.change_detection import warn_if_code_changed
from trainer.config.stored_config import adapt_to_machine
from trainer.core.callback import has_hook, is_user_code
from trainer.core.errors import UserError, first_line
from trainer.core.signals import interruptible
from trainer.core.spec import find_spec
from trainer.core.warning_filters import install_warning_filters
from trainer.model.pretrained import skip_weight_loading
from trainer.training.build import build_data, build_trainer
from trainer.training.build_module import build_module, build_parts
from trainer.training.interruption import InterruptionPoints

log = logging.getLogger(__name__)


def predict_batches(content: dict[str, Any], file: Path) -> list[list[Any]]:
    """Return the outputs of `predict_step` for each batch of each loader of `predict_dataloader`.

    Without a `predict_dataloader`, the examples of `test_dataloader` are used.

    Args:
        content: Content of the checkpoint; its code is trusted.
        file: The checkpoint.

    Raises:
        UserError: The module has no `predict_step`, or the data module has neither loader.
    """
    install_warning_filters()
    warn_if_code_changed(content["provenance"].get("code") or {}, f"the checkpoint '{file}'")
    config = OmegaConf.create(adapt_to_machine(content["config"]))
    assert isinstance(config, DictConfig)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = build_data(config)
    with skip_weight_loading():
        module = build_module(config, build_parts(config, find_spec(data)))
    _require_predict_step(module)
    module.configure_model()
    module.on_load_checkpoint(content)
    module.load_state_dict(content["state_dict"], strict=module.strict_loading)
    _prepare_loaders(data)
    outputs: Any
    with TemporaryDirectory() as directory:
        options = {
            "logger": False,
            "callbacks": [InterruptionPoints()],
            "enable_checkpointing": False,
            "enable_progress_bar": False,
        }
        trainer = build_trainer(config, default_root_dir=directory, enable_model_summary=False, **options)
        with interruptible(), _explaining_errors(module):
            outputs = trainer.predict(module, datamodule=data)
    return outputs if len(trainer.num_predict_batches) > 1 else [outputs]


def _require_predict_step(module: LightningModule) -> None:
    """Raise an error if a module cannot predict; Lightning's own `predict_step` calls `forward` with the batch."""
    can_forward = is_user_code(module) and has_hook(module, "forward", LightningModule)
    if has_hook(module, "predict_step", LightningModule) or can_forward:
        return
    name = type(module).__qualname__
    raise UserError(f"predict: {name} has no predict_step; add a method predict_step(self, batch) that returns outputs")


@contextlib.contextmanager
def _explaining_errors(module: LightningModule) -> Iterator[None]:
    """Raise a `UserError` if the `forward` of user code does not accept a batch, such as inputs with targets."""
    try:
        yield
    except Exception as error:  # user code may raise anything
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_locals.get("self") is module]
        names = {frame.f_code.co_name for frame in frames}
        if has_hook(module, "predict_step", LightningModule) or "forward" not in names:
            raise
        name = type(module).__qualname__
        raise UserError(
            f"predict: {name} has no predict_step, and its forward does not accept a batch: {first_line(error)}\n  "
            "add a method predict_step(self, batch) that returns outputs"
        ) from error


def _prepare_loaders(data: LightningDataModule) -> None:
    """Create the loaders after `setup`, from `test_dataloader` if there is no `predict_dataloader`.

    Loaders that Lightning creates itself may not have a positional `batch_size` (pytorch-lightning 2.6).
    """
    name = type(data).__qualname__
    stage = "predict" if has_hook(data, "predict_dataloader", LightningDataModule) else "test"
    create_loaders = getattr(data, f"{stage}_dataloader")
    if stage == "test" and not has_hook(data, "test_dataloader", LightningDataModule):
        raise UserError(f"predict: {name} has neither predict_dataloader nor test_dataloader; add one of these methods")
    if stage == "test":
        log.warning(f"predict: {name} has no predict_dataloader; using its test_dataloader")
    setup = data.setup
    instance: Any = data

    def setup_and_create_loaders(**_: Any) -> None:  # the stage of Lightning is always "predict"
        setup(stage)
        loaders = create_loaders()
        instance.predict_dataloader = lambda: loaders

    instance.setup = setup_and_create_loaders
    instance.predict_dataloader = create_loaders
