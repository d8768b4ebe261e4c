"""Loading of a trained network and its metadata from a checkpoint."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from torch import nn

from trainer.artifacts.change_detection import warn_if_code_changed
from trainer.artifacts.config_signature import is_signed
from trainer.artifacts.run_schema import check_checkpoint
from trainer.config.environment_values import find_missing_variable
from trainer.config.target_allowlist import require_trusted_config, require_trusted_targets
from trainer.core.checksummed_file import load
from trainer.core.errors import UserError
from trainer.core.formatting import quote_argument
from trainer.core.spec import DataSpec
from trainer.core.target_scale import TargetScale
from trainer.data.preprocessing.base import Preprocessing, restore_preprocessing
from trainer.model.pretrained import skip_weight_loading
from trainer.task.test_time_augmentation import ViewAverage

REQUIRED_KEYS = ("state_dict", "spec", "preprocessing", "metrics", "provenance")


@dataclass(frozen=True)
class LoadedCheckpoint:
    """Network and metadata from a checkpoint.

    Args:
        file: Checkpoint.
        net: Network on the CPU, in evaluation mode; it averages over the views of `model.test_time_augmentation`.
        spec: Spec of the training data.
        preprocessing: Conversion of files to network inputs; None if the data set has none.
        config: Complete config of the run.
        metrics: Last values logged before the checkpoint was saved.
        provenance: Command, commit, versions, run directory, checksum of the data.
        target_scale: Scale attached to the network to return outputs in the units of the targets; None if it has none.
        objective: State of the objective, such as a decision threshold chosen on validation.
    """

    file: Path
    net: nn.Module
    spec: DataSpec
    preprocessing: Preprocessing | None
    config: dict[str, Any]
    metrics: dict[str, float]
    provenance: dict[str, Any]
    target_scale: TargetScale | None = None
    objective: dict[str, Any] = field(default_factory=dict)


def load_checkpoint(path: Path, checkpoint: str = "best", trusted: str = "") -> LoadedCheckpoint:
    """Build the network of a checkpoint and load its weights; no other file is read.

    Args:
        path: Checkpoint or run directory.
        checkpoint: Checkpoint in a run directory: `"best"`, `"last"` or another name. Defaults to `"best"`.
        trusted: Comma-separated packages whose code the checkpoint's config may use, in addition to those in
            `trainer.config.target_allowlist`.

    Raises:
        UserError: The checkpoint does not exist, is corrupted or incompatible, or uses untrusted code.
    """
    file = find_checkpoint(path, checkpoint)
    content = read_checkpoint(file, trusted)
    weights = content["state_dict"]
    if content["spec"] is None or not _has_net(content["config"]):
        missing = "data have no spec" if content["spec"] is None else "model has no network 'model.net'"
        raise UserError(
            f"'{file}' cannot be loaded without its run: its {missing}\n"
            f"  to predict the examples of its data module: trainer predict {quote_argument(file)}"
        )
    if problem := find_missing_variable(content["config"]["model"]["net"], "model.net"):
        raise UserError(f"'{file}': {problem}")
    warn_if_code_changed(content["provenance"].get("code") or {}, f"the checkpoint '{file}'")
    try:
        spec = DataSpec(**content["spec"])
        with skip_weight_loading():
            net = instantiate(content["config"]["model"]["net"], _convert_="all")
            net = net if isinstance(net, nn.Module) else net(spec)
        net.load_state_dict({name[4:]: weights[name] for name in weights if name.startswith("net.")})
        preprocessing = restore_preprocessing(content["preprocessing"]) if content["preprocessing"] else None
        scale_state = content.get("target_scale")  # written by Supervised only
        scale = TargetScale.from_state(scale_state) if scale_state else None
        if scale:
            scale.attach(net)
        views = content.get("test_time_augmentation", "none")  # written by Supervised only
        net = net if views == "none" else ViewAverage(net, views)
    except UserError:
        raise
    except Exception as error:  # code of another version can raise anything
        cause: BaseException = error.__cause__ or error
        reason = "\n  ".join(line.strip() for line in str(cause).splitlines()[:3])
        raise UserError(f"'{file}' is incompatible with the current code:\n  {reason}") from error
    config, metrics, provenance = (content[name] for name in ("config", "metrics", "provenance"))
    state = content.get("objective") or {}
    return LoadedCheckpoint(file, net.eval(), spec, preprocessing, config, metrics, provenance, scale, state)


def _has_net(config: dict[str, Any]) -> bool:
    return "_target_" in (config["model"].get("net") or {})


def find_checkpoint(path: Path, checkpoint: str = "best") -> Path:
    """Return the checkpoint at a path, or a checkpoint of a run directory by its name.

    Raises:
        UserError: The checkpoint does not exist; the message lists the existing ones.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"no checkpoint and no run directory '{path}'")
    file = path / "checkpoints" / f"{checkpoint}.ckpt"
    if not file.is_file():
        names = ", ".join(sorted(other.stem for other in file.parent.glob("*.ckpt")))
        raise UserError(f"no checkpoint '{file}'; " + (f"there are: {names}" if names else "the run has saved none"))
    return file


def read_checkpoint(file: Path, trusted: str = "") -> dict[str, Any]:
    """Return the content of a checkpoint without running its code; all code that it names is trusted.

    Raises:
        UserError: The file is corrupted, is not a checkpoint of this trainer, or uses untrusted code.
    """
    content = load(file)
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise UserError(f"'{file}' contains no config; expected a checkpoint of this trainer")
    if missing := [key for key in REQUIRED_KEYS if key not in content]:
        raise UserError(f"'{file}' contains no {', '.join(missing)}; expected a checkpoint of this trainer version")
    if problem := check_checkpoint(content):
        raise UserError(f"'{file}' is invalid: {problem}")
    is_own = is_signed(content["config"], content["provenance"], Path.cwd())
    require_trusted_config(content["config"], file, trusted, is_own=is_own)
    require_trusted_targets({"preprocessing": _select_targets(content["preprocessing"])}, file, trusted)
    return content


def _select_targets(state: Any) -> Any:
    """Return nested containers with the values of `_target_` only; others, such as a vocabulary, are data."""
    if isinstance(state, dict):
        return {key: value if key == "_target_" else _select_targets(value) for key, value in state.items()}
    return [_select_targets(value) for value in state] if isinstance(state, list | tuple) else None
