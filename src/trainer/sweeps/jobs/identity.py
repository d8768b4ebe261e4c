"""Identity of a job, the fingerprint of its config, which does not depend on how the overrides are written.

A config is composed once for each set of choices. For jobs that differ only in values the values are replaced, which is
about a hundred times faster. Imports no torch.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.fingerprint import drop_ignored, hash_config
from trainer.config.compose import Composer, get_override_key
from trainer.config.environment_values import resolve_for_storage

NAME_PATTERN = re.compile(r"[\w.]+")  # keys and resolvers in an interpolation
KeyPath = tuple[str, ...]


class Identities:
    """Computes the identities of jobs.

    Args:
        composer: Composer of their configs.
    """

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._templates: dict[tuple[str, ...], _IdentityTemplate] = {}
        self._is_choice = cache(lambda text: composer.is_choice(text) or get_override_key(text).endswith("._target_"))

    def of(self, overrides: Sequence[str]) -> str:
        """Return the identity of the job with these overrides: 16 hexadecimal digits, `fingerprint` in `result.json`.

        Raises:
            HydraException, OmegaConfBaseException: The overrides are invalid.
        """
        choices = [override for override in overrides if self._is_choice(override)]
        values = [override for override in overrides if not self._is_choice(override)]
        key = (*choices, "", *map(get_override_key, values))
        if key not in self._templates:
            self._templates[key] = _IdentityTemplate(self._composer, overrides, values)
        template = self._templates[key]
        if not template.apply(values):
            return hash_config(drop_ignored(compose_resolved(self._composer, overrides)))
        return hash_config(template.relevant_config)

    def is_invariant_to(self, overrides: Sequence[str], key: str, other: str | None) -> bool:
        """Return whether a job keeps its identity with another override of a key.

        Args:
            overrides: Overrides of the job.
            key: Key that is overridden or not.
            other: Other override; None for no override of the key.
        """
        changed = [override for override in overrides if get_override_key(override) != key]
        try:
            return self.of(changed + ([other] if other else [])) == self.of(overrides)
        except Exception:  # any error of Hydra or OmegaConf
            return False


class _IdentityTemplate:
    """Jobs with the same choices that set the same keys.

    Args:
        composer: Composer of their configs.
        overrides: Overrides of one of the jobs.
        values: Overrides that set values, a subset of `overrides`.
    """

    def __init__(self, composer: Composer, overrides: Sequence[str], values: Sequence[str]) -> None:
        self._composer = composer
        self._config = _compose_without_hydra(composer, overrides)
        self.relevant_config = drop_ignored(resolve_for_storage(self._config))
        self._values: dict[str, Any] = {}
        strings = dict(_iterate_strings(OmegaConf.to_container(self._config), ()))
        references = {path: text for path, text in strings.items() if "${" in text}
        self._is_separable = not any(override.startswith("~") for override in values)
        self._key_paths: dict[str, list[KeyPath]] = {}
        keys = [get_override_key(override) for override in values]
        for key in keys:
            paths = [tuple(key.split(".")), *(path for path, text in references.items() if text == f"${{{key}}}")]
            self._key_paths[key] = [path for path in paths if _has_path(self.relevant_config, path)]
            others = [text for text in references.values() if text != f"${{{key}}}"]
            names = [name for text in others for name in NAME_PATTERN.findall(text)]
            self._is_separable &= not any(_has_overlap(key, name) for name in names)
            self._is_separable &= sum(_has_overlap(key, other) for other in keys) == 1

    def apply(self, values: Sequence[str]) -> bool:
        """Set these values in `relevant_config`; return False if they change anything else."""
        if not self._is_separable:
            return False
        for override in values:
            if override not in self._values:
                self._values[override] = self._composer.set_value(self._config, override)
            value = self._values[override]
            if isinstance(value, dict) or "${" in str(value):
                self._is_separable = False
                return False
            for *parents, name in self._key_paths[get_override_key(override)]:
                node = self.relevant_config
                for parent in parents:
                    node = node[parent]
                node[name] = value
        return True


def compose_resolved(composer: Composer, overrides: Sequence[str]) -> Any:
    """Return the resolved config of a job as plain containers, for a run directory called `.`."""
    return resolve_for_storage(_compose_without_hydra(composer, overrides))


def _compose_without_hydra(composer: Composer, overrides: Sequence[str]) -> DictConfig:
    config = composer.compose(overrides)
    config.hydra.runtime.output_dir = "."
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _has_overlap(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _has_path(node: Any, path: Sequence[str]) -> bool:
    for name in path:
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True


def _iterate_strings(node: Any, path: KeyPath) -> Any:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in pairs:
        yield from _iterate_strings(child, (*path, str(name)))
    if isinstance(node, str):
        yield path, node
