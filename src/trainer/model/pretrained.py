"""Pretrained weights from torchvision, a file or a run, and their loading into a ResNet."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.core.checksummed_file import load as load_file
from trainer.core.errors import UserError

Weights = dict[str, Tensor]
CONFIG_KEY = "model.net.weights"
BEST_CHECKPOINT = "checkpoints/best.ckpt"

_is_loading_skipped: ContextVar[bool] = ContextVar("is_loading_skipped", default=False)


@contextmanager
def skip_weight_loading() -> Iterator[None]:
    """Build networks without reading pretrained weights, because a checkpoint with all weights is loaded afterwards."""
    token = _is_loading_skipped.set(True)
    try:
        yield
    finally:
        _is_loading_skipped.reset(token)


def is_weight_loading_skipped() -> bool:
    """Return whether a network need not read its pretrained weights; custom networks may call it too."""
    return _is_loading_skipped.get()


def read_weights(source: str, depth: int) -> Weights:
    """Read weights by the names that torchvision's ResNets use.

    Args:
        source: `"imagenet"`, the path of a file or a checkpoint, or a run directory (or one that contains one run).
        depth: Depth of the torchvision network.

    Raises:
        UserError: The weights are not available.
    """
    if source == "imagenet":
        return _download_weights(depth)
    path = Path(source)
    if path.is_dir():
        path = _find_best_checkpoint(path)
    if not path.is_file():
        raise UserError(
            f"{CONFIG_KEY}: no file or directory '{source}'; expected a .pth file, a checkpoint, a run or imagenet"
        )
    try:
        content = load_file(path)
    except UserError as error:
        raise UserError(f"{CONFIG_KEY}: {error}") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):  # checkpoint of a task with a net
        task = content["state_dict"]
        content = {name.removeprefix("net."): task[name] for name in task if name.startswith("net.")}
    if not (isinstance(content, dict) and content and all(isinstance(value, Tensor) for value in content.values())):
        raise UserError(f"{CONFIG_KEY}: {path} is neither a file of weights by name nor a checkpoint of a run")
    return content


def load_weights(net: nn.Module, weights: Weights, source: str) -> str:
    """Load weights into a ResNet; the output layer `fc` is only loaded if the number of outputs is equal.

    For gray images the weights of the first convolution are summed over the colors: then the network returns the same
    outputs as the original for the same images in three equal channels.

    Args:
        net: Network, changed in place.
        weights: Weights by name.
        source: Name of the source for messages.

    Returns:
        Description of the loaded weights.

    Raises:
        UserError: Another layer does not fit.
    """
    expected = net.state_dict()
    body = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    head = {name: value for name, value in weights.items() if name.startswith("fc.")}
    if "conv1.weight" in body and body["conv1.weight"].dim() == 4 and expected["conv1.weight"].shape[1] == 1:
        body["conv1.weight"] = body["conv1.weight"].sum(1, keepdim=True)
    for name, value in expected.items():
        if name.startswith("fc.") or (name.endswith("num_batches_tracked") and name not in body):
            continue  # old files have no batch counters
        if name not in body or body[name].shape != value.shape:
            actual = f"has shape {(*body[name].shape,)}" if name in body else "is missing"
            raise UserError(
                f"{CONFIG_KEY}: in {source}, {name} {actual}; expected shape {(*value.shape,)}"
                f"{_suggest_overrides(body, expected)}"
            )
    for name in body:
        if name not in expected:
            raise UserError(
                f"{CONFIG_KEY}: {source} has {name}, and the network has no such layer"
                f"{_suggest_overrides(body, expected)}"
            )
    fits = {name: value.shape for name, value in head.items()} == {
        name: value.shape for name, value in expected.items() if name.startswith("fc.")
    }
    net.load_state_dict(body | (head if fits else {}), strict=False)
    return f"weights of {source}, {'including fc' if fits else 'with a new fc'}"


def _download_weights(depth: int) -> Weights:
    from torchvision.models import get_model_weights, list_models

    if f"resnet{depth}" not in list_models():
        raise UserError(f"{CONFIG_KEY}: torchvision has no weights for depth {depth}; set model.net.depth=18")
    default = get_model_weights(f"resnet{depth}").DEFAULT
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(default.url).name
    try:
        weights: Weights = default.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, or another hash
        raise UserError(
            f"{CONFIG_KEY}: cannot download {default.url} ({error})\n"
            f"  download it on another machine to {path}\n"
            f"  or use a file or a run: {CONFIG_KEY}=PATH; or random weights: {CONFIG_KEY}=null"
        ) from error
    return weights


def _find_best_checkpoint(directory: Path) -> Path:
    """Return the best checkpoint of a run, or of the only run in a directory."""
    paths = {path for prefix in ("", "*/", "*/*/") for path in directory.glob(prefix + BEST_CHECKPOINT)}
    if len(paths) == 1:
        return paths.pop()
    runs = ", ".join(sorted(str(path.parents[1]) for path in paths)[-5:])
    problem = f"several runs; use one of them: {runs}" if paths else f"no run with a {BEST_CHECKPOINT}"
    raise UserError(f"{CONFIG_KEY}: {directory} contains {problem}")


def _suggest_overrides(weights: Weights, expected: Weights) -> str:
    """Return a hint with overrides that make the weights fit, if their names and shapes allow it."""
    overrides = []
    depth = _count_layers(weights)
    if depth != _count_layers(expected):
        overrides.append(f"model.net.depth={depth}")
    if "conv1.weight" in weights and weights["conv1.weight"].dim() == 4:
        width, channels, side, _ = weights["conv1.weight"].shape
        expected_width, expected_channels, expected_side, _ = expected["conv1.weight"].shape
        if width != expected_width:
            overrides.append(f"model.net.width={width}")
        if side != expected_side:
            overrides.append(f"model.net.stem={'imagenet' if side == 7 else 'small'}")
        if channels != expected_channels:
            return f"\n  they are for images with {channels} channels; the data have {expected_channels}"
    return f"\n  set {' '.join(overrides)}" if overrides and depth > 2 else ""


def _count_layers(weights: Weights) -> int:
    """Return the depth of a ResNet: the convolutions in blocks, the first convolution and the output layer."""
    return 2 + sum(re.fullmatch(r"layer\d\.\d+\.conv\d\.weight", name) is not None for name in weights)
