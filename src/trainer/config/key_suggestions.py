"""Keys that a user may have meant by a short or a usual name, such as `lr` or `epochs`. Imports no torch."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.core.formatting import quote_argument

# usual names, and the names of the config
SYNONYMS = {
    "learning_rate": "lr",
    "epoch": "max_epochs",
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "bs": "batch_size",
    "batch": "batch_size",
    "decay": "weight_decay",
    "wd": "weight_decay",
    "gpus": "devices",
    "device": "accelerator",
    "hidden_size": "hidden",
    "hidden_dim": "hidden",
    "layers": "hidden",
    "workers": "num_workers",
    "random_seed": "seed",
}
MAX_SUGGESTIONS = 3
MIN_SIMILARITY = 0.75  # of names in different nodes


def suggest_overrides(override: str, parent: str, node: DictConfig) -> list[str]:
    """Return the overrides of existing keys with the name of an unknown one, a synonym or a similar name.

    At most three are returned, and a similar name only if the node itself contains none.

    Args:
        override: Override of the unknown key.
        parent: Key of the node that does not contain it; "" for the root.
        node: That node.
    """
    key, equals, value = override.lstrip("+~").partition("=")
    name = key.rpartition(".")[2]
    usual = name.lower().replace("-", "_")
    names = {name, usual, SYNONYMS.get(usual, usual)}
    paths = [*_list_keys(OmegaConf.to_container(node))]
    keys = [path for path in paths if path.rpartition(".")[2] in names]
    if not keys and not get_close_matches(name, map(str, node)):
        spellings = {path.rpartition(".")[2] for path in paths} | SYNONYMS.keys()
        similar = {SYNONYMS.get(match, match) for match in get_close_matches(name, spellings, cutoff=MIN_SIMILARITY)}
        keys = [path for path in paths if path.rpartition(".")[2] in similar]
    keys.sort(key=lambda path: path.count("."))
    prefix = f"{parent}." if parent else ""
    return [quote_argument(f"{prefix}{path}{equals}{value}") for path in keys[:MAX_SUGGESTIONS]]


def _list_keys(content: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of nested containers, except those of Hydra and the names of classes."""
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if str(name).startswith("_") or (not prefix and name == "hydra"):
            continue
        yield f"{prefix}{name}"
        yield from _list_keys(value, f"{prefix}{name}.")
