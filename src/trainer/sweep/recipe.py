"""Recipe: the best config of a sweep as the text of an experiment file."""

from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from trainer.artifacts.record import Record, flat
from trainer.config import HOME, user_folders
from trainer.direction import UNKNOWN
from trainer.sweep.report import Report

NOT_IN_A_RECIPE = ("hydra", "callbacks.pruning", "resume")
OF_A_SEARCH = ("defaults", "optimized_metric", "sweep", "hydra")  # what a search file says of the search alone


def best_recipe(report: Report) -> str:
    """Return the best config as an experiment: put into `experiments/`, it repeats the first run of the best group.

    Raises:
        ValueError: No config is the best, as it is unknown which values are good.
    """
    best = report.best
    if best is None:
        raise ValueError(UNKNOWN.format(report.metric))
    made = _Recipe(best.runs[0])
    spread = f" +- {best.estimate.deviation:.2g}" if best.estimate.count > 1 else ""
    head = f"# The best of {len(report.groups)} configs by {report.metric}: {best.estimate.mean:.4g}{spread}"
    runs = f" ({best.estimate.count} run{'s' * (best.estimate.count > 1)})."
    lines = [head + runs, *(f"# Note: {each}." for each in report.notes), *made.remarks]
    lines += ["defaults:", *made.choices] if made.choices else []
    return "\n".join(lines) + "\n" + (yaml.safe_dump(made.values, sort_keys=False) if made.values else "")


class _Recipe:
    """Choices and values of a run, as an experiment file has them.

    Args:
        run: Whose words are taken.
    """

    def __init__(self, run: Record) -> None:
        self.run = run
        self.choices: list[str] = []  # lines of the defaults list
        self.values: dict[str, Any] = {}
        self.remarks: list[str] = []  # what no experiment file can say
        for word in sorted(run.overrides, key=lambda word: not word.startswith("hparams_search=")):
            self._add(word)

    def _add(self, word: str) -> None:
        name, _, value = word.lstrip("+").partition("=")
        is_group = "." not in name and isinstance(self.run.nested_config.get(name), dict)
        if word.startswith("~"):
            self.remarks.append(f"#   and on the command line: '{word}'")
        elif name == "experiment":
            self.choices.append(f"  - {value}")
        elif name == "hparams_search":
            self._add_search(value)
        elif name == "debug" or "@" in name or "/" in name or (is_group and not value.startswith("{")):
            how = "" if word.startswith("+") else "override "
            self.choices.append(f"  - {how}/{name}: {value}")
        elif is_group:
            self.values.setdefault(name, {}).update(OverridesParser.create().parse_override(word).value())
        elif not name.startswith(NOT_IN_A_RECIPE):
            self._put(name, value if "${" in value else self._of_run(name))

    def _add_search(self, name: str) -> None:
        """Add what the file of a search sets beside the search."""
        folders = [HOME / "conf", *user_folders()]
        file = next(
            (path for folder in folders if (path := Path(folder, f"hparams_search/{name}.yaml")).is_file()), None
        )
        if file is None:
            self.remarks.append(f"#   and what hparams_search={name} sets, whose file was not found")
            return
        content = yaml.safe_load(file.read_text("utf-8")) or {}
        for choice in content.get("defaults", []):
            if isinstance(choice, dict):
                self.choices += [f"  - {group}: {chosen}" for group, chosen in choice.items()]
        for key in flat({key: value for key, value in content.items() if key not in OF_A_SEARCH}):
            self._put(key, self._of_run(key))

    def _of_run(self, key: str) -> Any:
        node: Any = self.run.nested_config
        for step in key.split("."):
            node = node.get(step) if isinstance(node, dict) else None
        return node

    def _put(self, key: str, value: Any) -> None:
        *above, name = key.split(".")
        node = self.values
        for step in above:
            node = node.setdefault(step, {})
        node[name] = value
