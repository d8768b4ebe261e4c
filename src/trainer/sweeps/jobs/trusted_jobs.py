"""Checks of jobs that this user has not written, before anything of them is built or run."""

from collections.abc import Sequence

from trainer.config.compose import Composer, get_override_key
from trainer.config.diagnostics import Diagnostic
from trainer.config.import_path import add_working_directory
from trainer.config.schema import find_targets
from trainer.config.target_allowlist import (
    TRUST_ENV_VAR,
    find_untrusted_targets,
    get_trusted_packages,
    require_safe_interpolations,
    require_trusted_targets,
)
from trainer.config.value_sources import find_location
from trainer.core.errors import UserError
from trainer.core.lazy_imports import lazy_imports
from trainer.core.mappings import is_within
from trainer.sweeps.jobs.grid import expand
from trainer.sweeps.jobs.identity import compose_resolved
from trainer.sweeps.store.trial_store import TrialLedger


def is_own_sweep(ledger: TrialLedger) -> bool:
    """Return whether this user has typed every command of a sweep."""
    return all(command.is_own for command in ledger.commands())


def require_trusted_jobs(ledger: TrialLedger, composer: Composer) -> None:
    """Refuse a sweep of another user whose jobs name undeclared code or change Hydra's own settings.

    Args:
        ledger: Ledger of the sweep.
        composer: Composer of the configs.

    Raises:
        UserError: A job or a command must not be run.
    """
    if is_own_sweep(ledger):
        return
    if ledger.settings():
        raise UserError(f"you have not started the search in '{ledger.sweep}'; start your own in another directory")
    jobs = [job.overrides for job in ledger.jobs()]
    for command in ledger.commands():
        _require_plain_overrides(command.overrides, ledger)
        # before `expand`, because the jobs may depend on the objective and the sampler, which are objects
        _require_trusted_overrides(composer, composer.select_shared(command.overrides), ledger)
        jobs += expand(composer, command.overrides)
    for overrides in jobs:
        _require_trusted_overrides(composer, overrides, ledger)


def find_untrusted_code(composer: Composer, overrides: Sequence[str]) -> list[Diagnostic]:
    """Return an error for each object of a config that is not one of a trusted package; nothing is built.

    Args:
        composer: Composer of the configs.
        overrides: Overrides of a single run.
    """
    config, valid, _ = composer.compose_tolerant(overrides)
    if config is None:
        return []
    with lazy_imports():
        from trainer.training.preflight.interpolation import resolve_config

    values = resolve_config(config)[0]
    packages = get_trusted_packages()
    add_working_directory([name for name in find_targets(values, with_paths=True) if is_within(name, packages)])
    layers = composer.load_layers(valid)
    hint = f"if you trust it, add its package to {TRUST_ENV_VAR}"
    return [
        Diagnostic(key, f"{target}: {reason}", hint, find_location(layers, f"{key}._target_"))
        for key, target, reason in find_untrusted_targets(values, packages)
    ]


def _require_trusted_overrides(composer: Composer, overrides: Sequence[str], ledger: TrialLedger) -> None:
    _require_plain_overrides(overrides, ledger)
    require_trusted_targets(compose_resolved(composer, overrides), f"{ledger.file}: {' '.join(overrides)}")


def _require_plain_overrides(overrides: Sequence[str], ledger: TrialLedger) -> None:
    for override in overrides:
        if override.startswith("-") or get_override_key(override).startswith("hydra"):
            raise UserError(
                f"you have not started the sweep in '{ledger.sweep}', and it contains '{override}', which may run any"
                " code; start your own sweep in another directory"
            )
    require_safe_interpolations([*overrides], ledger.file)
