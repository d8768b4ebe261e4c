"""Identity: what a job of a sweep is, whatever its words look like: the fingerprint of the config they make.

A config is composed once for each set of choices; jobs that differ in values alone are told apart by these, as
composing takes some hundred times as long. Imports no torch.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.artifacts.fingerprint import digest, essence
from trainer.config.compose import Composer, key_of

NAMED = re.compile(r"[\w.]+")  # in a reference: names of keys, and of resolvers
Steps = tuple[str, ...]


class Identities:
    """Tells the identities of jobs.

    Args:
        composer: Makes their configs.
    """

    def __init__(self, composer: Composer) -> None:
        self._composer = composer
        self._likenesses: dict[tuple[str, ...], _Likeness] = {}
        self._is_choice = cache(lambda word: composer.is_choice(word) or key_of(word).endswith("._target_"))

    def of(self, words: Sequence[str]) -> str:
        """The identity of the job with these words: 16 hexadecimal digits, as `fingerprint` in its `result.json`.

        Raises:
            HydraException, OmegaConfBaseException: The words make no config.
        """
        values = [word for word in words if not self._is_choice(word)]
        alike = (*(word for word in words if self._is_choice(word)), "", *(key_of(word) for word in values))
        if alike not in self._likenesses:
            self._likenesses[alike] = _Likeness(self._composer, words, values)
        likeness = self._likenesses[alike]
        if not likeness.has(values):
            return digest(essence(composed(self._composer, words)))
        return digest(likeness.essence)

    def stays(self, words: Sequence[str], key: str, other: str | None) -> bool:
        """Return whether a job keeps its identity with another word for a key.

        Args:
            words: Of the job.
            key: That has one of these words, or none.
            other: The other word; None to leave the key out.
        """
        changed = [word for word in words if key_of(word) != key] + ([other] if other else [])
        try:
            return self.of(changed) == self.of(words)
        except Exception:  # Hydra's own errors, and what its code stumbles over
            return False


class _Likeness:
    """Jobs with the same choices, which give values to the same keys.

    Args:
        composer: Makes configs.
        words: Of one of them.
        values: Those of the words that are values.
    """

    def __init__(self, composer: Composer, words: Sequence[str], values: Sequence[str]) -> None:
        self._composer = composer
        self._config = _own(composer, words)
        self.essence = essence(OmegaConf.to_container(self._config, resolve=True))
        self._values: dict[str, Any] = {}
        raw = OmegaConf.to_container(self._config)
        references = {steps: text for steps, text in _leaves(raw, ()) if "${" in text}
        self._simple = not any(word.startswith("~") for word in values)
        self._places: dict[str, list[Steps]] = {}
        keys = [key_of(word) for word in values]
        for key in keys:
            places = [tuple(key.split(".")), *(at for at, text in references.items() if text == f"${{{key}}}")]
            self._places[key] = [at for at in places if _holds(self.essence, at)]
            whole = [name for text in references.values() if text != f"${{{key}}}" for name in NAMED.findall(text)]
            self._simple &= not any(_overlap(key, name) for name in whole)
            self._simple &= sum(_overlap(key, other) for other in keys) == 1

    def has(self, values: Sequence[str]) -> bool:
        """Put these values into `essence`; False where that is not all they change."""
        if not self._simple:
            return False
        for word in values:
            if word not in self._values:
                self._values[word] = self._composer.change(self._config, word)
            value = self._values[word]
            if isinstance(value, dict) or "${" in str(value):
                self._simple = False
                return False
            for *above, name in self._places[key_of(word)]:
                node = self.essence
                for step in above:
                    node = node[step]
                node[name] = value
        return True


def composed(composer: Composer, words: Sequence[str]) -> Any:
    """The config of a job, resolved, as plain containers, for a run directory called `.`."""
    return OmegaConf.to_container(_own(composer, words), resolve=True)


def _own(composer: Composer, words: Sequence[str]) -> DictConfig:
    config = composer.compose(words)
    config.hydra.runtime.output_dir = "."
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _overlap(key: str, other: str) -> bool:
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _holds(node: Any, steps: Sequence[str]) -> bool:
    for step in steps:
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def _leaves(node: Any, at: Steps) -> Any:
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in pairs:
        yield from _leaves(child, (*at, str(name)))
    if isinstance(node, str):
        yield at, node
