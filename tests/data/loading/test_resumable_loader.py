"""Trainings with ordinary `DataLoader`s that are stopped within an epoch and resumed: equal weights, or a warning."""

import importlib.util
import sys
import warnings
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from trainer.callbacks.checkpoint import Checkpoint
from trainer.callbacks.fast_loop import FastLoop
from trainer.core.signals import Interrupted, interruptible, shutdown
from trainer.data.loading.resumable_loader import install_resumable_loaders

SOURCE = Path(__file__).parents[2] / "external_project/src/external_project/loaders.py"
spec = importlib.util.spec_from_file_location("external_loaders", SOURCE)
loaders = sys.modules["external_loaders"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loaders)

UNSUPPORTED = ("stream", "own iteration", "sampler with a hidden counter")
SUPPORTED = [kind for kind in loaders.LOADERS if kind not in UNSUPPORTED]
WARNING = "cannot be positioned: the epoch restarts with other batches"


class StopAfter(pl.Callback):
    """Requests a stop as SIGTERM does."""

    skips_steps = True

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            shutdown.signal_number = 15
            shutdown.on_signal()


def fit(directory, kind, *, workers=0, fast=True, stop_at=None, resume=False, epochs=3, **options):
    """Train, and return the weights and the number of loaded examples."""
    pl.seed_everything(1, verbose=False)
    checkpoint = Checkpoint(dirpath=directory, save_last=True, monitor=None)
    callbacks = [checkpoint, *[FastLoop()] * fast, *([StopAfter(stop_at)] if stop_at else [])]
    module = loaders.Classifier()
    loaders.NoisyPoints.loads = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_epochs=epochs,
            callbacks=callbacks,
            default_root_dir=directory,
            logger=False,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            **options,
        )
        install_resumable_loaders(trainer, seed=7)
        try:
            with interruptible():
                trainer.fit(
                    module, loaders.Loaders(kind, workers), ckpt_path=f"{directory}/last.ckpt" if resume else None
                )
        except Interrupted:
            assert stop_at
        finally:
            shutdown.signal_number = None
    return module.state_dict(), loaders.NoisyPoints.loads


def is_equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def resume_after(tmp_path, step, kind, **options):
    """Return the weights of an uninterrupted training, of an interrupted and of a resumed one."""
    reference, _ = fit(tmp_path / "reference", kind, **options)
    stopped, _ = fit(tmp_path / "run", kind, stop_at=step, **options)
    resumed, _ = fit(tmp_path / "run", kind, resume=True, **options)
    return reference, stopped, resumed


@pytest.mark.parametrize("kind", SUPPORTED)
def test_a_resumed_epoch_continues_at_its_next_batch(kind, tmp_path, caplog):
    reference, stopped, resumed = resume_after(tmp_path, 11, kind)
    assert is_equal(reference, resumed)
    assert not is_equal(reference, stopped)
    assert WARNING not in caplog.text


@pytest.mark.parametrize("kind", SUPPORTED)
def test_so_does_a_training_that_was_stopped_between_two_epochs(kind, tmp_path):
    steps = 10 if kind in ("batch sampler", "two loaders") else 60 if kind == "single examples" else 8
    reference, _, resumed = resume_after(tmp_path, steps - (kind == "ordered"), kind, epochs=2)
    assert is_equal(reference, resumed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fast"),
    [
        ("shuffled", True),
        pytest.param("sampler with NumPy's generator", False, marks=pytest.mark.slow),
        pytest.param("two loaders", True, marks=pytest.mark.slow),
        pytest.param("persistent", True, marks=pytest.mark.slow),
    ],
)
def test_so_it_does_with_worker_processes_that_use_random_numbers(kind, fast, tmp_path):
    reference, stopped, resumed = resume_after(tmp_path, 11, kind, workers=2, fast=fast, epochs=2)
    assert is_equal(reference, resumed)
    assert not is_equal(reference, stopped)


@pytest.mark.parametrize("kind", ["shuffled", pytest.param("two loaders", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_so_it_does_with_lightnings_own_loop(kind, tmp_path):
    reference, _, resumed = resume_after(tmp_path, 11, kind, fast=False)
    assert is_equal(reference, resumed)


@pytest.mark.slow
@pytest.mark.parametrize("step", [8, 16, 12])
def test_so_it_does_with_loaders_that_are_reloaded_in_each_epoch(step, tmp_path):
    reference, _, resumed = resume_after(tmp_path, step, "shuffled", reload_dataloaders_every_n_epochs=1)
    assert is_equal(reference, resumed)


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_a_loader_that_cannot_be_positioned_causes_one_warning(kind, tmp_path, caplog):
    fit(tmp_path, kind, stop_at=11)
    assert WARNING not in caplog.text
    fit(tmp_path, kind, resume=True)
    assert caplog.text.count(WARNING) == 1
    name = "HiddenCounterSampler" if kind == "sampler with a hidden counter" else "Loaders"
    assert f"the data loader of {name} cannot" in caplog.text


def test_skipped_examples_are_not_loaded(tmp_path):
    fit(tmp_path, "shuffled", stop_at=6, limit_val_batches=0, epochs=1)
    _, loads = fit(tmp_path, "shuffled", resume=True, limit_val_batches=0, epochs=1)
    assert loads == 60 - 6 * 8


def test_the_order_depends_on_seed_and_epoch_and_not_on_the_global_random_state(tmp_path):
    def collect_indices(seed, global_seed):
        torch.manual_seed(global_seed)
        trainer = pl.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False)
        trainer.training = True
        install_resumable_loaders(trainer, seed)
        loader = trainer.strategy.process_dataloader(loaders.Loaders().train_dataloader())
        state = torch.get_rng_state()
        batches = [list(loader.batch_sampler)]
        loader.order.start_pass(1)
        batches.append(list(loader.batch_sampler))
        assert torch.equal(torch.get_rng_state(), state)
        return batches

    first, second = collect_indices(seed=1, global_seed=1)
    assert first != second
    assert sorted(index for batch in first for index in batch) == list(range(60))
    assert collect_indices(seed=1, global_seed=2) == [first, second]
    assert collect_indices(seed=2, global_seed=1) != [first, second]


def test_the_loader_keeps_its_class_and_the_original_is_unchanged():
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.training = True
    install_resumable_loaders(trainer, 0)

    class OwnLoader(torch.utils.data.DataLoader):
        answer = 42

    original = OwnLoader(range(10), batch_size=4)
    loader = trainer.strategy.process_dataloader(original)
    assert isinstance(loader, OwnLoader)
    assert (loader.answer, loader.batch_size, len(loader), loader.dataset) == (42, 4, 3, range(10))
    assert type(original) is OwnLoader
    assert type(original.batch_sampler) is torch.utils.data.BatchSampler
