"""Resume an interrupted run in its own directory; the results are those of an uninterrupted run.

trainer resume RUN_DIRECTORY [trainer.max_epochs=N] [OVERRIDES...] [--trust my_package] [--json]

The run continues with its recorded config from the last valid checkpoint, and logs no step twice. A finished run is
resumed only if it is to be longer. Settings that would change earlier results are refused; start a new run for them
(ckpt_path=RUN_DIRECTORY/checkpoints/last.ckpt). If code or data have changed, the files are listed and the run is not
resumed; `accept_changes=true` resumes it. `--trust` or TRAINER_TRUST declares packages of yours whose code the config
names, separated by commas.
"""

import os
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import configure_log, setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from trainer.api.run import Run
from trainer.artifacts.config_signature import is_signed
from trainer.artifacts.resume import DURATION_KEYS, require_trained
from trainer.artifacts.run_record import RunRecord, read_run
from trainer.cli.commands import parse_arguments
from trainer.cli.commands.test import FinishedRun, summarize_run
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.config.compose import Composer, get_override_key
from trainer.config.environment_values import resolve_for_storage
from trainer.config.home_directory import expand_home
from trainer.config.override_quoting import patch_override_parser
from trainer.config.schema import Config
from trainer.config.target_allowlist import require_safe_interpolations, require_trusted_config
from trainer.core.data_files import InvalidFileError, check_types, read_yaml
from trainer.core.errors import UserError, did_you_mean
from trainer.core.override_format import escape_interpolation
from trainer.core.rank import dispatch_by_rank

JSON_OUTPUTS: JsonOutputs = {"resume": (FinishedRun, "The resumed run.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("resume", argv, "run", "overrides*", trust="", json=False)
    return dispatch_by_rank(lambda: _resume(args.run, args.overrides, args.trust, as_json=args.json))


def _resume(path: str, overrides: list[str], trusted: str, *, as_json: bool) -> int:
    from trainer.training.run import run  # imports Lightning

    record = read_run(str(Path(path).absolute()))
    require_trained(record, "resume")
    if not os.access(record.path, os.W_OK):
        raise UserError(f"cannot write to '{path}'; make the run directory writable, or copy it")
    recorded = _load_plain(record)
    hydra = Composer().compose([]).hydra
    is_own = _is_own(record, compose_resumed_config(record, recorded, hydra, []))
    if not is_own:
        require_safe_interpolations(recorded, path)
    config = compose_resumed_config(record, recorded, hydra, overrides)
    require_trusted_config(_resolve(config), path, trusted, is_own=is_own)
    if record.directory.is_dir():  # relative paths in the config refer to it
        os.chdir(record.directory)
    configure_log(hydra.job_logging, hydra.verbose)
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # see trainer.cli.main
    run(config)
    if as_json:
        print_json(summarize_run(Run(record.path)))
    return 0


def _is_own(record: RunRecord, config: DictConfig) -> bool:
    """Return whether this user has started a run in the current working directory."""
    try:
        values = resolve_for_storage(config)
    except OmegaConfBaseException:
        return False
    return any(is_signed(values, start, Path.cwd()) for start in record.starts)


def compose_resumed_config(
    record: RunRecord, recorded: dict[str, Any], hydra: DictConfig, overrides: list[str]
) -> DictConfig:
    """Return the config of a run, changed by overrides, and make it the target of `${hydra:...}`.

    Hydra's own settings, such as logging, are those of a new run; only choices, overrides and the job's name and number
    are recorded ones.

    Args:
        record: Record of the run, with an absolute path.
        recorded: Config of the run with its interpolations unresolved.
        hydra: Hydra's own settings for a new run; the recorded values are set in it.
        overrides: Overrides `key=value`.

    Raises:
        UserError: The recorded config or an override is invalid.
    """
    try:
        config = OmegaConf.merge(OmegaConf.structured(Config), recorded)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"'{record.path}' is unreadable: .hydra/config.yaml: {reason}") from None
    assert isinstance(config, DictConfig)
    for key in DURATION_KEYS:  # an earlier resumption may have extended the run
        if record.config.get(key) is not None:
            OmegaConf.update(config, key, record.config[key], force_add=True)
    OmegaConf.update(config, "accept_changes", False)  # holds for one start only
    patch_override_parser()
    overrides = [_apply_override(config, override) for override in overrides]
    expand_home(config)
    OmegaConf.update(config, "resume", "auto")
    keys = {get_override_key(override) for override in overrides}
    unchanged = [override for override in record.overrides if get_override_key(override) not in keys]
    with read_write(hydra), open_dict(hydra):
        run_dir = escape_interpolation(record.path)
        hydra.mode = "RUN"
        hydra.run.dir = run_dir
        hydra.runtime.update(output_dir=run_dir, choices=record.choices)
        hydra.job.update(record.job)
        hydra.overrides.task = [escape_interpolation(override) for override in [*unchanged, *overrides]]
    setup_globals()
    HydraConfig.instance().set_config(_merge_hydra_config(config, hydra))
    OmegaConf.set_struct(config, True)
    return config


def _resolve(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain containers without interpolations."""
    try:
        return resolve_for_storage(config)
    except OmegaConfBaseException as error:
        raise UserError(f"resume: {str(error).splitlines()[0]}") from None


def _load_plain(record: RunRecord) -> dict[str, Any]:
    """Return the config of a run with its interpolations unresolved."""
    file = record.path / ".hydra/config.yaml"
    try:
        content = read_yaml(file)
    except FileNotFoundError:
        raise UserError(f"'{record.path}' is not a run directory: it contains no .hydra/config.yaml") from None
    except InvalidFileError as error:
        raise UserError(f"'{record.path}' is unreadable: .hydra/{error}") from None
    if problem := check_types(content, {}):
        raise UserError(f"'{record.path}' is unreadable: .hydra/config.yaml: {problem}")
    return content


def _merge_hydra_config(config: DictConfig, hydra: DictConfig) -> DictConfig:
    """Return the complete config in Hydra's form, which includes its own settings."""
    merged = config.copy()
    with open_dict(merged):
        merged.hydra = hydra
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
