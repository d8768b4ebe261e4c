"""Types of the values in the files of a run directory."""

from typing import Any

from trainer.core.data_files import check_types

STATES = ("finished", "failed", "test_failed", "pruned", "interrupted")
RESULT_TYPES = {
    "state": str,
    "metrics": dict[str, float | None],
    "seconds": float,
    "steps": int,
    "epochs": int,
    "seed": int,
    "checkpoint": str | None,
    "error": str,
    "data_sha256": str | None,
    "fingerprint": str,
    "accepted_changes": list[str],
    "synthetic": bool,
    "not_finite_epochs": dict[str, int] | None,
    "stop_reason": str | None,
    "threshold": float | None,
    "calibration": dict[str, float],
    "intervals": dict[str, dict[str, Any]],
    "examples": dict[str, int],
}
START_TYPES = {
    "command": str,
    "directory": str,
    "run": str,
    "trainer": str,
    "python": str,
    "git": list[dict[str, Any]],
    "packages": dict[str, str],
    "machine": dict[str, Any],
    "overrides": list[str],
    "code": dict[str, str],
    "code_folders": list[str],
    "code_version": int,
    "trained_together": int,
    "signature": str | None,
    "code_signature": str | None,
    "accepted_changes": list[str],
    "data_sha256": str | None,
    "members": list[str],
}
PROVENANCE_TYPES = {**START_TYPES, "resumed": list[dict[str, Any]]}
CHECKOUT_TYPES = {"root": str, "commit": str | None, "branch": str, "changed": list[str]}
CONFIG_TYPES = {
    "task_name": str,
    "tags": list[Any],
    "seed": int,
    "ckpt_path": str | None,
    "data": dict[str, Any],
    "model": dict[str, Any],
    "objective": dict[str, Any] | None,
    "optimizer": dict[str, Any] | None,
    "scheduler": dict[str, Any] | None,
    "callbacks": dict[str, Any] | None,
    "logger": dict[str, Any] | None,
    "trainer": dict[str, Any],
    "sweep": dict[str, Any] | None,
}
CHECKPOINT_TYPES = {
    "state_dict": dict[str, Any],
    "config": dict[str, Any],
    "spec": dict[str, Any] | None,
    "preprocessing": dict[str, Any] | None,
    "metrics": dict[str, float],
    "provenance": dict[str, Any],
    "objective": dict[str, Any] | None,
}
REQUIRED_CONFIG_KEYS = ("data", "model", "trainer")


def check_checkpoint(content: Any) -> str:
    """Return the first problem of the metadata in a checkpoint, or ""."""
    if problem := check_types(content, CHECKPOINT_TYPES):
        return problem
    if missing := [key for key in REQUIRED_CONFIG_KEYS if key not in content["config"]]:
        return f"config: no {', '.join(missing)}"
    if "run" not in content["provenance"]:
        return "provenance: no run"
    problems = {
        "config": check_config(content["config"]),
        "provenance": check_types(content["provenance"], START_TYPES),
    }
    return next((f"{key}: {problem}" for key, problem in problems.items() if problem), "")


def check_result(content: Any) -> str:
    """Return the first problem of `result.json`, or ""."""
    problem = check_types(content, RESULT_TYPES)
    if not problem and content.get("state") not in STATES:
        return f"state: expected one of {', '.join(STATES)}, found {content.get('state')!r}"
    return problem


def check_provenance(content: Any) -> str:
    """Return the first problem of `provenance.json`, or ""."""
    if problem := check_types(content, PROVENANCE_TYPES):
        return problem
    starts = [content, *content.get("resumed", [])]
    problems = [check_types(start, START_TYPES) for start in starts[1:]]
    for checkout in [checkout for start in starts for checkout in start.get("git") or []]:
        problems.append("git: no root" if "root" not in checkout else check_types(checkout, CHECKOUT_TYPES))
    return next(filter(None, problems), "")


def check_config(content: Any) -> str:
    """Return the first problem of `config.yaml`, or ""."""
    return check_types(content, CONFIG_TYPES)
