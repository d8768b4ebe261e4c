"""Runs that can be combined to one model: their search, comparison and choice."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from trainer.artifacts.change_detection import warn_if_code_changed
from trainer.artifacts.run_record import RunRecord, find_runs
from trainer.core.errors import UserError, did_you_mean
from trainer.core.mappings import diff_mappings, flatten
from trainer.core.metric_direction import UNKNOWN_DIRECTION_MESSAGE, infer_direction
from trainer.core.metric_name import list_metrics
from trainer.core.spec import DataSpec
from trainer.inference.load_checkpoint import find_checkpoint, read_checkpoint
from trainer.task.supervised import Supervised

IRRELEVANT_DATA_KEYS = ("seed", "dir", "batch_size", "eval_batch_size")  # they do not change the examples


@dataclass(frozen=True)
class Member:
    """A finished run with its best checkpoint.

    Args:
        record: Record of the run.
        checkpoint: Content of the checkpoint; its code is trusted.
    """

    record: RunRecord
    checkpoint: dict[str, Any]

    @property
    def net_config(self) -> dict[str, Any]:
        """Return the config of the network."""
        node: dict[str, Any] = self.checkpoint["config"]["model"]["net"]
        return node

    @property
    def weights(self) -> dict[str, Tensor]:
        """Return the weights of the network by name."""
        state = self.checkpoint["state_dict"]
        return {name.removeprefix("net."): tensor for name, tensor in state.items() if name.startswith("net.")}

    @property
    def validation(self) -> dict[str, float]:
        """Return the validation metrics of the checkpoint by name."""
        metrics: dict[str, float] = self.checkpoint["metrics"]
        return {name: metrics[name] for name in list_metrics(metrics, "val")}


def find_candidates(paths: Sequence[Path]) -> tuple[list[RunRecord], dict[Path, str]]:
    """Return the finished runs with a best checkpoint, and the reason for each other run.

    Args:
        paths: Run directories, and directories of runs such as those of sweeps.

    Raises:
        UserError: A path contains no run.
    """
    records: dict[Path, RunRecord] = {}
    for path in paths:
        runs = [RunRecord(path)] if (path / "config.yaml").is_file() else [*find_runs(path)]
        if not runs:
            raise UserError(f"ensemble: no runs in '{path}'; expected run directories or the directory of a sweep")
        records |= {record.path.resolve(): record for record in runs}
    reasons = {record.path: _find_obstacle(record) for record in records.values()}
    skipped = {path: reason for path, reason in reasons.items() if reason}
    return [record for record in records.values() if record.path not in skipped], skipped


def _find_obstacle(record: RunRecord) -> str:
    """Return the reason why a run cannot be a member, or ""."""
    if record.state != "finished":
        return record.state
    if record.members:
        return "an ensemble itself"
    return "" if (record.path / "checkpoints/best.ckpt").is_file() else "has no checkpoint best.ckpt"


def load_members(records: Sequence[RunRecord], trusted: str) -> list[Member]:
    """Return runs with their checkpoints.

    Args:
        records: Runs that have a best checkpoint.
        trusted: Comma-separated packages whose code the configs may use.

    Raises:
        UserError: A checkpoint is invalid or uses untrusted code, or the runs have different data or tasks.
    """
    members = []
    for record in records:
        file = find_checkpoint(record.path)
        checkpoint = read_checkpoint(file, trusted)
        checkpoint.pop("optimizer_states", None)  # up to twice as large as the weights
        _require_network(checkpoint, file)
        warn_if_code_changed(checkpoint["provenance"].get("code") or {}, f"the checkpoint '{file}'")
        members.append(Member(record, checkpoint))
    first, *others = members
    for member in others:
        for name, (expected, value) in _iter_differences(first, member):
            raise UserError(
                f"ensemble: '{member.record.path}' and '{first.record.path}' cannot be combined; different {name}:"
                f" {_shorten(value)} and {_shorten(expected)}"
            )
    return members


def _require_network(checkpoint: dict[str, Any], file: Path) -> None:
    """Raise a `UserError` if a checkpoint has no network that can be used without its LightningModule."""
    model = checkpoint["config"]["model"]
    cls = resolve_name(model["_target_"])
    is_supervised = isinstance(cls, type) and issubclass(cls, Supervised)
    if not is_supervised or checkpoint["spec"] is None or "_target_" not in (model.get("net") or {}):
        problem = "its data have no spec" if is_supervised else f"its model is a {model['_target_']}"
        raise UserError(f"ensemble: '{file}' cannot be combined: {problem}; expected a trainer.Supervised with a net")


def _iter_differences(first: Member, second: Member) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the name and both values of each difference that changes the meaning of inputs or outputs."""
    flat = [flatten(_list_requirements(member.checkpoint)) for member in (first, second)]
    plain = [{key: _to_plain(value) for key, value in values.items()} for values in flat]
    yield from diff_mappings(*plain).items()


def _list_requirements(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the values that all members must have in common."""
    config = checkpoint["config"]
    task = resolve_name(config["model"]["_target_"])  # a class may have several names
    data = {key: value for key, value in config["data"].items() if key not in IRRELEVANT_DATA_KEYS}
    return {
        "model": f"{task.__module__}.{task.__qualname__}",
        "spec of the data": checkpoint["spec"],
        "examples (SHA-256)": checkpoint["provenance"].get("data_sha256") or data,
        "preprocessing": checkpoint["preprocessing"],
        "objective": config["objective"],
        "scale of the targets": checkpoint.get("target_scale"),
        "model.test_time_augmentation": checkpoint.get("test_time_augmentation", "none"),
    }


def _to_plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) else value


def _shorten(value: Any, limit: int = 60) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def choose_metric(members: Sequence[Member], metric: str | None) -> str:
    """Return the validation metric by which members are compared; by default the first one of the objective.

    Raises:
        UserError: The metric is none of validation, or not all members have it.
    """
    names = [name for name in members[0].validation if all(name in member.validation for member in members)]
    if not names:
        raise UserError("ensemble: the runs have no validation metric in common; expected runs with validation")
    if metric is None:
        checkpoint = members[0].checkpoint
        objective = instantiate(checkpoint["config"]["objective"], _convert_="all")(DataSpec(**checkpoint["spec"]))
        defaults = [f"val/{name}" for name in (*objective.metrics(), "loss")]
        return next((name for name in defaults if name in names), names[0])
    if metric not in names:
        hint = did_you_mean(metric, names) or f"; expected one of {', '.join(names)}"
        raise UserError(f"ensemble: --metric: '{metric}' is not a validation metric of all runs{hint}")
    return metric


def select_best(members: Sequence[Member], metric: str, count: int) -> list[Member]:
    """Return the members with the best values of a validation metric, in their original order.

    Raises:
        UserError: There are fewer members, or it is unknown whether small or large values are good.
    """
    if count > len(members):
        raise UserError(f"ensemble: --best: {count} of {len(members)} runs; expected at most {len(members)}")
    direction = infer_direction(metric)
    if direction is None:
        raise UserError(f"ensemble: --metric: {UNKNOWN_DIRECTION_MESSAGE.format(metric)}; expected another metric")
    sign = 1 if direction == "min" else -1
    values = [sign * member.validation[metric] for member in members]
    ranks = sorted(range(len(members)), key=lambda index: (math.isnan(values[index]), values[index]))
    return [members[index] for index in sorted(ranks[:count])]


def average_weights(members: Sequence[Member]) -> dict[str, Tensor]:
    """Return the mean of each weight; integers are those of the first member.

    Source:
        Wortsman et al. 2022, Model soups: averaging weights of multiple fine-tuned models, section 2.

    Raises:
        UserError: The networks differ.
    """
    first = members[0]
    for member in members:
        if member.net_config != first.net_config:
            pair = f"'{member.record.path}' and '{first.record.path}'"
            raise UserError(f"ensemble: --average=weights: {pair} have different networks; use --average=outputs")
    states = [member.weights for member in members]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.weights.items()
    }
