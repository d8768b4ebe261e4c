"""Check of the jobs in a ledger that this user has not written, before they are run."""

from collections.abc import Sequence

from trainer.config.compose import Composer, get_override_key
from trainer.config.target_allowlist import require_safe_interpolations, require_trusted_targets
from trainer.core.errors import UserError
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
        jobs += expand(composer, command.overrides)
    for overrides in jobs:
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
