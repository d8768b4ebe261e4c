"""Choice of the jobs of a sweep that are trained together in one process. Imports no torch before it is used."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer
from trainer.config.launchers import requires_fusing
from trainer.config.schema import find_targets
from trainer.core.errors import UserError
from trainer.core.lazy_imports import lazy_imports
from trainer.sweeps.jobs.shared_settings import VALID_FUSE, is_valid_fuse
from trainer.sweeps.store.job import Job

KNOWN_PACKAGES = ("trainer.", "torch.", "pytorch_lightning.", "torchmetrics.", "hydra.", "hydra_plugins.")
DEFAULT_GROUP_SIZE = 128  # jobs; more are not faster: docs/fused-sweeps.md
# multiplications in a forward pass; larger networks are hardly faster together: docs/fused-sweeps.md
MAX_MULTIPLICATIONS = 5_000_000


class Fusing:
    """Groups of jobs by what they build: jobs in one group differ only in numbers.

    Args:
        composer: Composer of the jobs.
        setting: `sweep.fuse`: `auto`, true, or the largest number of jobs in a group.

    Raises:
        UserError: The setting is invalid.
    """

    def __init__(self, composer: Composer, setting: Any) -> None:
        if not is_valid_fuse(setting):
            raise UserError(f"sweep.fuse: {setting} is invalid; {VALID_FUSE}")
        self.composer = composer
        self.is_required = requires_fusing(setting)
        self.max_size: int = DEFAULT_GROUP_SIZE if setting in ("auto", True) else setting
        self._reasons: dict[tuple[str, ...], str | None] = {}  # by group

    def find_group(self, job: Job) -> tuple[str, ...] | None:
        """Return the overrides that are equal in the group of a job; None if the job runs alone.

        Raises:
            UserError: The job cannot be trained together with others, although the setting requires it.
        """
        group = self._group_of(job.overrides)
        if group not in self._reasons:
            config = self.composer.compose(job.overrides)
            reason = self._reasons[group] = reason_to_run_alone(config, _collect_facts(config), self.is_required)
            if reason and self.is_required:
                raise UserError(f"sweep.fuse: job {job.number} ({' '.join(job.overrides)}): {reason}")
        return None if self._reasons[group] else group

    def _group_of(self, words: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            override.input_line or "" for override in self.composer.parse_overrides(words) if not _is_number(override)
        )


def reason_to_run_alone(config: DictConfig, facts: Mapping[str, Any], is_required: bool) -> str | None:
    """Return the reason why a job is not trained together with others, or None if it is.

    Args:
        config: Config of the job.
        facts: Facts about its network from the dry run.
        is_required: Whether slow networks are trained together, too.
    """
    if not config.train:
        return "train=false: there are no steps"
    with lazy_imports():
        import torch

    trainer: Any = OmegaConf.to_container(config.trainer, resolve=True)
    accelerator = trainer.get("accelerator", "auto")
    is_on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if not is_on_cpu or trainer.get("devices", 1) not in (1, "1", "auto"):
        return "trainer: runs on several devices or on an accelerator are not trained together"
    if reason := facts.get("unfusable", "its network is built by user code"):
        return str(reason)
    if not is_required and any(not target.startswith(KNOWN_PACKAGES) for target in find_targets(config)):
        return "the config names user code, which may expect a process of its own"
    if not is_required and (facts.get("convolutions") or facts.get("work", 0) > MAX_MULTIPLICATIONS):
        return "the network is large, so that it would not be trained faster"
    return None


def _collect_facts(config: DictConfig) -> Mapping[str, Any]:
    with lazy_imports():
        from trainer.training.preflight.check import collect_diagnostics

    return collect_diagnostics(config)[1]


def _is_number(override: Override) -> bool:
    return isinstance(override.value(), int | float) and not isinstance(override.value(), bool)
