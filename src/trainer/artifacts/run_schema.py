"""Types of the values in the files of a run directory."""

from typing import Any

from trainer.core.data_files import check_types

STATES = ("finished", "failed", "test_failed", "pruned", "interrupted")
RESULT_FIELDS: dict[str, tuple[Any, str]] = {
    "state": (str, f"One of {', '.join(f'`{state}`' for state in STATES)}."),
    "metrics": (dict[str, float | None], "Last value of each metric; null if it is not finite."),
    "seconds": (float, "Duration from the check of the config to the end, without imports."),
    "steps": (int, "Optimizer steps since the first start of the run."),
    "epochs": (int, "Epochs since the first start of the run."),
    "seed": (int, "Seed in the config."),
    "checkpoint": (str | None, "Tested checkpoint; null if none was saved."),
    "error": (str, "Reason if the run did not finish."),
    "data_sha256": (str | None, "Checksum of the examples of all splits; null if it is unknown."),
    "fingerprint": (str, "Hash of all settings that determine the metrics."),
    "accepted_changes": (list[str], "Changed code and data with which the run was resumed."),
    "synthetic": (bool, "Whether the data were synthetic."),
    "not_finite_epochs": (
        dict[str, int] | None,
        "Number of epochs in which a monitored metric was not finite, by metric.",
    ),
    "stop_reason": (str | None, "Reason if the training stopped before its last epoch or step."),
    "threshold": (float | None, "Decision threshold, if it was chosen on validation."),
    "calibration": (dict[str, float], "Temperature of an ensemble, and the cross-entropy without and with it."),
    "intervals": (dict[str, dict[str, Any]], "95 % interval of each test metric, or the reason why it has none."),
    "examples": (dict[str, int], "Number of examples of each split."),
    "pooled_examples": (int, "Number of test examples of all folds together, if the folds are in the order of time."),
    "network": (dict[str, Any], "Class of the network, and the parameters of all and of single layers."),
    "phase_seconds": (dict[str, float], "Seconds of training, validation and test since the last start."),
}
RESULT_TYPES = {name: expected for name, (expected, _) in RESULT_FIELDS.items()}
START_FIELDS: dict[str, tuple[Any, str]] = {
    "command": (str, "Command line."),
    "directory": (str, "Working directory."),
    "run": (str, "Run directory."),
    "trainer": (str, "Version of this package."),
    "python": (str, "Version of Python."),
    "git": (list[dict[str, Any]], "Root, commit, branch and changed files of each git checkout."),
    "packages": (dict[str, str], "Version of each installed package."),
    "machine": (dict[str, Any], "Host, system, processor, cores, threads and GPUs."),
    "overrides": (list[str], "Overrides of the command line."),
    "code": (dict[str, str], "Hash of each imported Python file of this package and of the user."),
    "code_folders": (list[str], "Directories from which files of the user were imported."),
    "code_version": (int, "Number of the code: 1 at the first start, one more after each resume with changed code."),
    "trained_together": (int, "Number of jobs of a sweep that were trained together in one process."),
    "signature": (str | None, "Signature of the config; it shows that this user started the run."),
    "code_signature": (str | None, "Signature of the imported code of the user."),
    "accepted_changes": (list[str], "Changed code and data that this start accepted."),
    "data_sha256": (str | None, "Checksum of the examples of all splits."),
    "members": (list[str], "Directories of the runs that an ensemble combines."),
}
START_TYPES = {name: expected for name, (expected, _) in START_FIELDS.items()}
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
