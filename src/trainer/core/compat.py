"""Private names of other libraries that this project uses, and the versions that it was tested with.

All imports of private objects go through this module, and all private attributes are listed here, so that an upgrade of
a library starts with one file. `tests/core/test_compat.py` checks that the lists are complete and that each object
exists. Importing this module imports none of the libraries; `from trainer.core.compat import NAME` does.
"""

import logging
from argparse import Action, ArgumentParser
from functools import cache
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hydra._internal import hydra as hydra_internal
    from hydra._internal.callbacks import Callbacks as HydraCallbacks
    from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
    from hydra._internal.config_repository import ConfigRepository
    from hydra._internal.utils import create_config_search_path, get_args_parser
    from lightning_fabric.utilities.data import _set_sampler_epoch as set_sampler_epoch
    from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop as EvaluationLoop
    from pytorch_lightning.loops.fetchers import _DataFetcher as DataFetcher
    from pytorch_lightning.loops.fetchers import _PrefetchDataFetcher as PrefetchDataFetcher
    from pytorch_lightning.loops.loop import _Loop as Loop
    from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop as TrainingEpochLoop
    from pytorch_lightning.strategies.launchers import _MultiProcessingLauncher as MultiProcessingLauncher
    from pytorch_lightning.trainer.connectors.logger_connector.result import _Metadata as ResultMetadata
    from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultMetric as ResultMetric
    from pytorch_lightning.trainer.connectors.logger_connector.result import _Sync as ResultSync
    from pytorch_lightning.utilities.combined_loader import _MaxSizeCycle as MaxSizeCycle
    from torch.export import _patches as export_patches
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

__all__ = [
    "ConfigLoaderImpl",
    "ConfigRepository",
    "DataFetcher",
    "EvaluationLoop",
    "HydraCallbacks",
    "Loop",
    "MaxSizeCycle",
    "MultiProcessingLauncher",
    "PrefetchDataFetcher",
    "ResultMetadata",
    "ResultMetric",
    "ResultSync",
    "TorchDispatchMode",
    "TrainingEpochLoop",
    "create_config_search_path",
    "export_patches",
    "get_args_parser",
    "get_overrides_dirname",
    "hydra_internal",
    "set_sampler_epoch",
    "tree_leaves",
]

# distribution -> tested versions; the lowest and the newest ones are tested by `make test-lowest` and `make test`
TESTED_VERSIONS = {
    "torch": ">=2.11,<2.16",
    "pytorch-lightning": ">=2.6.6,<2.7",
    "torchmetrics": ">=1.9,<1.10",
    "hydra-core": ">=1.3.8,<1.4",
    "tensorboard": ">=2.21,<2.22",
}

_RESULT = "pytorch_lightning.trainer.connectors.logger_connector.result"
PRIVATE_OBJECTS = {
    "ConfigLoaderImpl": "hydra._internal.config_loader_impl:ConfigLoaderImpl",
    "ConfigRepository": "hydra._internal.config_repository:ConfigRepository",
    "DataFetcher": "pytorch_lightning.loops.fetchers:_DataFetcher",
    "EvaluationLoop": "pytorch_lightning.loops.evaluation_loop:_EvaluationLoop",
    "HydraCallbacks": "hydra._internal.callbacks:Callbacks",
    "Loop": "pytorch_lightning.loops.loop:_Loop",
    "MaxSizeCycle": "pytorch_lightning.utilities.combined_loader:_MaxSizeCycle",
    "MultiProcessingLauncher": "pytorch_lightning.strategies.launchers:_MultiProcessingLauncher",
    "PrefetchDataFetcher": "pytorch_lightning.loops.fetchers:_PrefetchDataFetcher",
    "ResultMetadata": f"{_RESULT}:_Metadata",
    "ResultMetric": f"{_RESULT}:_ResultMetric",
    "ResultSync": f"{_RESULT}:_Sync",
    "TorchDispatchMode": "torch.utils._python_dispatch:TorchDispatchMode",
    "TrainingEpochLoop": "pytorch_lightning.loops.training_epoch_loop:_TrainingEpochLoop",
    "create_config_search_path": "hydra._internal.utils:create_config_search_path",
    "export_patches": "torch.export._patches",
    "get_args_parser": "hydra._internal.utils:get_args_parser",
    "get_overrides_dirname": "hydra._internal.config_loader_impl:get_overrides_dirname",
    "hydra_internal": "hydra._internal.hydra",
    "set_sampler_epoch": "lightning_fabric.utilities.data:_set_sampler_epoch",
    "tree_leaves": "torch.utils._pytree:tree_leaves",
}

# owner -> private attributes that other modules use
PRIVATE_ATTRIBUTES = {
    "hydra._internal.config_loader_impl:ConfigLoaderImpl": ("_apply_overrides_to_config",),
    "hydra.core.utils:JobReturn": ("_return_value",),
    "argparse:ArgumentParser": ("_option_string_actions",),  # and _check_help since Python 3.14
    "omegaconf:DictConfig": ("_get_node",),
    "omegaconf:Node": ("_value",),
    "omegaconf.basecontainer:BaseContainer": ("_resolvers",),
    "pytorch_lightning:LightningModule": ("_hparams_initial", "_trainer", "_on_before_batch_transfer"),
    "pytorch_lightning:Trainer": ("_checkpoint_connector", "_logger_connector", "_signal_connector"),
    "pytorch_lightning.callbacks:EarlyStopping": ("_check_on_train_epoch_end",),
    "pytorch_lightning.callbacks:ModelCheckpoint": ("_every_n_train_steps", "_train_time_interval"),
    "pytorch_lightning.callbacks:WeightAveraging": (
        *("_average_model", "_copy_average_to_current", "_latest_update_step"),
    ),
    "pytorch_lightning.loggers:CometLogger": ("_kwargs",),
    "pytorch_lightning.loops.evaluation_loop:_EvaluationLoop": (
        *("_combined_loader", "_print_results", "_results", "_seen_batches_per_dataloader", "_stage", "_trainer_fn"),
    ),
    "pytorch_lightning.loops.fetchers:_DataFetcher": ("_combined_loader",),
    "pytorch_lightning.loops.fit_loop:_FitLoop": (
        *("_combined_loader", "_combined_loader_states_to_load", "_data_fetcher", "_resuming_from_checkpoint"),
    ),
    "pytorch_lightning.loops.training_epoch_loop:_TrainingEpochLoop": (
        *("_batches_that_stepped", "_is_training_done", "_num_ready_batches_reached", "_results", "_should_accumulate"),
    ),
    "pytorch_lightning.strategies:DDPStrategy": ("_ddp_kwargs",),
    "pytorch_lightning.trainer.connectors.accelerator_connector": ("_IS_INTERACTIVE",),
    "pytorch_lightning.trainer.connectors.logger_connector.logger_connector:_LoggerConnector": (
        *("_callback_metrics", "_first_loop_iter", "_logged_metrics", "_progress_bar_metrics"),
    ),
    f"{_RESULT}:_ResultMetric": ("_forward_cache", "_update_count"),
    "pytorch_lightning.loops.fit_loop": ("_last_val_time", "_val_check_time_interval"),
    "pytorch_lightning.utilities.combined_loader:CombinedLoader": ("_iterator", "_load_state_dicts"),
    "pytorch_lightning.utilities.combined_loader:_ModeIterator": ("_idx",),
    "tensorboard.summary.writer.event_file_writer:EventFileWriter": ("_async_writer",),
    "tensorboard.summary.writer.event_file_writer:_AsyncWriter": ("_worker", "_writer"),
    "torch": ("_C",),
    "torch._C": ("_AutoDispatchBelowAutograd", "_are_functorch_transforms_active", "_nn"),
    "torch._ops:OpOverload": ("_schema",),
    "torch.nn:Module": ("_compiled_call_impl", "_modules"),
    "torch.optim.optimizer": (
        *("_global_optimizer_post_hooks", "_global_optimizer_pre_hooks"),
        *("_optimizer_step_post_hooks", "_optimizer_step_pre_hooks"),
    ),
    "torch.optim.lr_scheduler": ("_schedulers",),
    "torch.optim.adam": ("_step_supports_amp_scaling",),
    "torch:Tensor": ("_backward_hooks", "_post_accumulate_grad_hooks"),
    "torch.ops:mkldnn": ("_linear_pointwise",),
    "torch.utils.data:DataLoader": ("_iterator",),
    "torch.utils.tensorboard:SummaryWriter": ("_get_file_writer",),
    "torchmetrics:Metric": ("_defaults", "_update_signature"),
    "torchvision.models:ResNet": ("_make_layer",),
}

log = logging.getLogger(__name__)


def __getattr__(name: str) -> Any:
    """Return a private object, imported when it is first used."""
    if name in PRIVATE_OBJECTS:
        return resolve_name(PRIVATE_OBJECTS[name])
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


class LazyHelpParser(ArgumentParser):
    """Parser that accepts help texts that are created when they are printed.

    Python 3.14 formats each help text when an argument is added, and rejects those that are no strings. Hydra 1.3 has
    one: the help of its option for shell completion.
    """

    def _check_help(self, action: Action) -> None:
        if isinstance(action.help, str):
            super()._check_help(action)  # type: ignore[misc]


def patch_args_parser() -> None:
    """Make Hydra create its parser with `LazyHelpParser`; without it, Hydra 1.3 cannot start on Python 3.14."""
    resolve_name("hydra._internal.utils").argparse = SimpleNamespace(ArgumentParser=LazyHelpParser)


@cache
def is_tested(*distributions: str) -> bool:
    """Return whether the installed versions of some distributions were tested with this project."""
    return not _find_untested(distributions)


@cache
def warn_if_untested(feature: str, *distributions: str) -> None:
    """Warn once that a feature is disabled, if the installed versions of some distributions were not tested."""
    if untested := _find_untested(distributions):
        log.warning(f"warning: {feature} is disabled, because it was not tested with {', '.join(untested)}")


def _find_untested(distributions: tuple[str, ...]) -> list[str]:
    from importlib.metadata import version  # slow to import, and `trainer --help` does not need it

    from packaging.specifiers import SpecifierSet

    installed = {name: version(name) for name in distributions}
    return [
        f"{name} {number} (tested: {TESTED_VERSIONS[name]})"
        for name, number in installed.items()
        if not SpecifierSet(TESTED_VERSIONS[name]).contains(number.partition("+")[0], prereleases=True)
    ]
