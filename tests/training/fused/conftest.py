"""Runs that are trained alone and then in a group."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from tests.training.fused.run_comparison import find_differences
from trainer.training.fused import group
from trainer.training.fused.group import run_group
from trainer.training.fused.work import EvaluationWork

ALONE = "alone"
GROUP = "group"


@pytest.fixture
def work(monkeypatch):
    """Return the number of segments and evaluations that groups compute: together, or alone after an error."""
    counts: Counter[str] = Counter()
    compute = group._compute_next

    def counted(waiting, segments):
        works = [member.request.work for member in waiting]
        results = compute(waiting, segments)
        kind = "evaluations" if isinstance(works[0], EvaluationWork) else "segments"
        is_failed = any(isinstance(result, Exception) for result in results.values())
        counts["alone" if is_failed else kind] += len(results)
        if len(results) > counts["largest"]:
            counts["largest"] = len(results)
        return results

    monkeypatch.setattr(group, "_compute_next", counted)
    return counts


@pytest.fixture
def run_alone_and_together(tmp_path, monkeypatch, work):
    """Return a function that runs members alone and in a group, and returns their exit statuses."""
    from trainer.cli.run_overrides import run_overrides

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["trainer"])
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setenv("TRAINER_RUN_SUFFIX", "test")
    # otherwise it would depend on the speed of the machine after which epochs states are written
    monkeypatch.setattr("trainer.callbacks.checkpoint.SECONDS_BETWEEN_WRITES", 1e9)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    GlobalHydra.instance().clear()

    def run_member(statuses: list[object], overrides: Sequence[str]) -> None:
        try:
            statuses.append(run_overrides([*overrides]))
        except SystemExit as error:
            statuses.append(error.code)
        for handler in {*root.handlers} - {*handlers}:
            handler.close()

    def run(common: Sequence[str], members: Sequence[Sequence[str]]) -> list[list[object]]:
        statuses: dict[str, list[list[object]]] = {}
        for folder, execute in ((ALONE, lambda functions: [call() for call in functions]), (GROUP, run_group)):
            codes: list[list[object]] = [[] for _ in members]
            numbered = [
                [*common, *overrides, f"hydra.run.dir={folder}/{number}"] for number, overrides in enumerate(members)
            ]
            execute([partial(run_member, *pair) for pair in zip(codes, numbered, strict=True)])
            root.handlers, root.level = handlers[:], level
            statuses[folder] = codes
        assert statuses[ALONE] == statuses[GROUP]
        return statuses[GROUP]

    yield run
    for name, module in [*sys.modules.items()]:  # the next test may write another module of this name
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def assert_equal_runs(tmp_path, run_alone_and_together, work) -> Callable[..., None]:
    """Return a function that checks that members are trained together and that their files are as alone."""

    def check(common: Sequence[str], members: Sequence[Sequence[str]], ignored_weights: Sequence[str] = ()) -> None:
        codes = run_alone_and_together(common, members)
        assert codes == [[0]] * len(members)
        assert work["segments"], "no steps were computed together"
        assert work["alone"] == 0
        assert compare(tmp_path, range(len(members)), ignored_weights) == {}

    return check


def compare(directory: Path, numbers: Sequence[int], ignored_weights: Sequence[str] = ()) -> dict[int, list[str]]:
    """Return the differences of each member from the same run alone, if there are any."""
    pairs = {number: (directory / ALONE / str(number), directory / GROUP / str(number)) for number in numbers}
    differences = {number: find_differences(*pair, ignored_weights) for number, pair in pairs.items()}
    return {number: texts for number, texts in differences.items() if texts}
