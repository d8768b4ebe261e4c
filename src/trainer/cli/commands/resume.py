"""Go on with a run that stopped, in its own directory, as if it had never stopped.

trainer resume RUN_DIRECTORY [trainer.max_epochs=N] [other settings] [accept_changes=true] [trust=my_package]

The config is the run's; it begins at the last good checkpoint, and logs no step twice. A run that is finished says
so, unless it is to be longer now. What would have led to other numbers from the start cannot be set: it belongs into a
new run (ckpt_path=RUN_DIRECTORY/checkpoints/last.ckpt). If the code or the data have changed since, it stops and names
the files; `accept_changes=true` resumes the run with them. Packages of your own whose code the config names are
declared by `trust`, with commas between them, or by TRAINER_TRUST.
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

from trainer.artifacts.resume import LENGTHS
from trainer.artifacts.run_record import Record
from trainer.cli.commands import trusted
from trainer.config.compose import key_of
from trainer.config.multirun import unresolved
from trainer.config.schema import Config
from trainer.config.target_allowlist import require
from trainer.core.errors import UserError, did_you_mean
from trainer.core.rank import lead

USAGE = "trainer resume RUN_DIRECTORY [trainer.max_epochs=N]"


def main(words: list[str]) -> int:
    """Run the command with the words behind `resume`; the exit status is 0.

    Raises:
        UserError: There is no such run, it cannot go on so, or something in it is to be mended.
    """
    if not words or "=" in words[0]:
        raise UserError(f"resume: name the directory of a run\n  {USAGE}")
    return lead(lambda: _resume(words))


def _resume(words: list[str]) -> int:
    from trainer.training.run import run  # only for a run that is to go on: this imports Lightning

    directory = Path(words[0]).absolute()
    values, trust = trusted(words[1:])
    config = composed(directory, values)
    require(OmegaConf.to_container(config, resolve=True), words[0], trust)
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # see trainer.cli.main
    run(config)
    return 0


def composed(run: Path, words: list[str]) -> DictConfig:
    """The config that a run began with, changed by overrides; Hydra knows of it afterwards, and logs where it did.

    Args:
        run: The run directory, where it is now.
        words: `key=value` each.

    Raises:
        UserError: It is no run, or an override cannot be understood.
    """
    if not (run / ".hydra/hydra.yaml").is_file():
        raise UserError(f"'{run}' is no directory of a run: it has no .hydra in it\n  {USAGE}")
    if not os.access(run, os.W_OK):
        raise UserError(f"cannot write to '{run}': a run goes on in its own directory; copy it, or make it writable")
    config = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(run / ".hydra/config.yaml"))
    settings = OmegaConf.structured(HydraConf, flags={"struct": False})
    hydra = OmegaConf.merge({"hydra": settings}, OmegaConf.load(run / ".hydra/hydra.yaml"))
    assert isinstance(config, DictConfig)
    assert isinstance(hydra, DictConfig)
    if (run / "config.yaml").is_file():  # it may have been made longer since
        latest = OmegaConf.load(run / "config.yaml")
        for key in LENGTHS:
            if OmegaConf.select(latest, key) is not None:
                OmegaConf.update(config, key, OmegaConf.select(latest, key), force_add=True)
    OmegaConf.update(config, "accept_changes", False)  # of this start alone
    for word in words:
        _set(config, word)
    OmegaConf.update(config, "resume", "auto")
    for key, value in {"run.dir": run, "runtime.output_dir": run, "mode": "RUN"}.items():
        OmegaConf.update(hydra, f"hydra.{key}", str(value), force_add=True)
    earlier = Record(run).overrides or unresolved(hydra.hydra.overrides.task)
    keys = {key_of(word) for word in words}
    OmegaConf.update(hydra, "hydra.overrides.task", [*(word for word in earlier if key_of(word) not in keys), *words])
    _go_where_it_ran(run)
    setup_globals()
    HydraConfig.instance().set_config(_joined(config, hydra))
    configure_log(hydra.hydra.job_logging, hydra.hydra.verbose)
    OmegaConf.set_struct(config, True)
    return config


def _joined(config: DictConfig, hydra: DictConfig) -> DictConfig:
    """The config as Hydra holds it: with its own settings beside ours."""
    whole = config.copy()
    with open_dict(whole):
        whole.hydra = hydra.hydra
    return whole


def _set(config: DictConfig, word: str) -> None:
    try:
        [override] = OverridesParser.create().parse_overrides([word])
        key, value = override.key_or_group, override.value()
        there = OmegaConf.select(config, key)
        if override.is_delete() or override.is_sweep_override() or isinstance(there, DictConfig):
            raise UserError(f"resume: '{word}': only single values can be set, as in trainer.max_epochs=20")
        if there is None and not override.is_add() and OmegaConf.select(config, key, default=word) == word:
            parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
            known = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
            raise UserError(f"resume: no key '{key}'{did_you_mean(key.rpartition('.')[2], known)}")
        OmegaConf.update(config, key, value, force_add=override.is_add())
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"resume: '{word}': {str(error).splitlines()[0]}") from None


def _go_where_it_ran(run: Path) -> None:
    """Relative names in the config, of data for example, are meant from there."""
    origin = run / "provenance.json"
    place = Path(json.loads(origin.read_text())["directory"]) if origin.is_file() else Path.cwd()
    if place.is_dir():
        os.chdir(place)
