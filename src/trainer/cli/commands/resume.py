"""Resume an interrupted run in its own directory; the results are those of an uninterrupted run.

trainer resume RUN_DIRECTORY [trainer.max_epochs=N] [OVERRIDES...] [--trust my_package]

The run continues with its recorded config from the last valid checkpoint, and logs no step twice. A finished run is
resumed only if it is to be longer. Settings that would change earlier results are refused; start a new run for them
(ckpt_path=RUN_DIRECTORY/checkpoints/last.ckpt). If code or data have changed, the files are listed and the run is not
resumed; `accept_changes=true` resumes it. `--trust` or TRAINER_TRUST declares packages of yours whose code the config
names, separated by commas.
"""

import json
import os
from pathlib import Path

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import configure_log, setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from trainer.artifacts.config_signature import is_signed
from trainer.artifacts.resume import DURATION_KEYS
from trainer.artifacts.run_record import RunRecord
from trainer.cli.commands import parse_arguments
from trainer.config.compose import get_override_key
from trainer.config.environment_values import resolve_for_storage
from trainer.config.home_directory import expand_home
from trainer.config.multirun import get_raw_overrides
from trainer.config.override_quoting import patch_override_parser
from trainer.config.schema import Config
from trainer.config.target_allowlist import require_trusted_targets
from trainer.core.errors import UserError, did_you_mean
from trainer.core.rank import dispatch_by_rank


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("resume", argv, "run", "overrides*", trust="")
    return dispatch_by_rank(lambda: _resume(args.run, args.overrides, args.trust))


def _resume(path: str, overrides: list[str], trusted: str) -> int:
    from trainer.training.run import run  # imports Lightning

    directory = Path.cwd()  # before it changes to that of the run
    record = RunRecord(Path(path).absolute())
    recorded = resolve_for_storage(compose_resumed_config(record.path, []))
    is_own = any(is_signed(recorded, start, directory) for start in record.starts)
    config = compose_resumed_config(record.path, overrides)
    require_trusted_targets(resolve_for_storage(config), path, trusted, is_own=is_own)
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # see trainer.cli.main
    run(config)
    return 0


def compose_resumed_config(run: Path, overrides: list[str]) -> DictConfig:
    """Return the config of a run, changed by overrides; set Hydra's config and log files to those of the run.

    Args:
        run: Current path of the run directory.
        overrides: Overrides `key=value`.

    Raises:
        UserError: The directory contains no run, or an override is invalid.
    """
    if not (run / ".hydra/hydra.yaml").is_file():
        raise UserError(f"'{run}' is not a run directory: it contains no .hydra/hydra.yaml")
    if not os.access(run, os.W_OK):
        raise UserError(f"cannot write to '{run}'; make the run directory writable, or copy it")
    config = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(run / ".hydra/config.yaml"))
    settings = OmegaConf.structured(HydraConf, flags={"struct": False})
    hydra = OmegaConf.merge({"hydra": settings}, OmegaConf.load(run / ".hydra/hydra.yaml"))
    assert isinstance(config, DictConfig)
    assert isinstance(hydra, DictConfig)
    if (run / "config.yaml").is_file():  # an earlier resumption may have extended the run
        latest = OmegaConf.load(run / "config.yaml")
        for key in DURATION_KEYS:
            if OmegaConf.select(latest, key) is not None:
                OmegaConf.update(config, key, OmegaConf.select(latest, key), force_add=True)
    OmegaConf.update(config, "accept_changes", False)  # holds for one start only
    patch_override_parser()
    overrides = [_apply_override(config, override) for override in overrides]
    expand_home(config)
    OmegaConf.update(config, "resume", "auto")
    for key, value in {"run.dir": run, "runtime.output_dir": run, "mode": "RUN"}.items():
        OmegaConf.update(hydra, f"hydra.{key}", str(value), force_add=True)
    earlier = RunRecord(run).overrides or get_raw_overrides(hydra.hydra.overrides.task)
    keys = {get_override_key(override) for override in overrides}
    unchanged = [override for override in earlier if get_override_key(override) not in keys]
    OmegaConf.update(hydra, "hydra.overrides.task", [*unchanged, *overrides])
    _restore_cwd(run)
    setup_globals()
    HydraConfig.instance().set_config(_merge_hydra_config(config, hydra))
    configure_log(hydra.hydra.job_logging, hydra.hydra.verbose)
    OmegaConf.set_struct(config, True)
    return config


def _merge_hydra_config(config: DictConfig, hydra: DictConfig) -> DictConfig:
    """Return the complete config in Hydra's form, which includes its own settings."""
    merged = config.copy()
    with open_dict(merged):
        merged.hydra = hydra.hydra
    return merged


def _apply_override(config: DictConfig, text: str) -> str:
    """Set a value of the config; return the override in Hydra's grammar."""
    try:
        [override] = OverridesParser.create().parse_overrides([text])
        key = override.key_or_group
        value = override.value()
        current = OmegaConf.select(config, key)
        if override.is_delete() or override.is_sweep_override() or isinstance(current, DictConfig):
            raise UserError(f"resume: '{text}': only single values can be set, as in trainer.max_epochs=20")
        if current is None and not override.is_add() and OmegaConf.select(config, key, default=text) == text:
            parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
            names = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
            raise UserError(f"resume: no key '{key}'{did_you_mean(key.rpartition('.')[2], names)}")
        OmegaConf.update(config, key, value, force_add=override.is_add())
        return str(override.input_line)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"resume: '{text}': {str(error).splitlines()[0]}") from None


def _restore_cwd(run: Path) -> None:
    """Change to the directory that relative paths in the config refer to."""
    file = run / "provenance.json"
    cwd = Path(json.loads(file.read_text())["directory"]) if file.is_file() else Path.cwd()
    if cwd.is_dir():
        os.chdir(cwd)
