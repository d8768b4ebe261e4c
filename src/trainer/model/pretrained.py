"""Trained weights: from torchvision, from a file, or from a run of ours, and into a network they must fit."""

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
KEY = "model.net.weights"
BEST = "checkpoints/best.ckpt"

_given_later: ContextVar[bool] = ContextVar("weights are given later", default=False)


@contextmanager
def weights_given_later() -> Iterator[None]:
    """Networks that are built within get all their weights afterwards, from a checkpoint, and need no file for it."""
    before = _given_later.set(True)
    try:
        yield
    finally:
        _given_later.reset(before)


def are_given_later() -> bool:
    """Whether a network that begins with weights from a file need not read it; a network of yours may ask it too."""
    return _given_later.get()


def read(source: str, depth: int) -> Weights:
    """Read weights by name, as torchvision's ResNets name them.

    Args:
        source: `"imagenet"`, the path of a file or of a checkpoint, or the directory of a run or of one run alone.
        depth: Which of torchvision's networks.

    Raises:
        UserError: They are not to be had; says where to put or what to name.
    """
    if source == "imagenet":
        return _of_torchvision(depth)
    path = Path(source)
    if path.is_dir():
        path = _best_of_run(path)
    if not path.is_file():
        raise UserError(f"{KEY}: no file or directory '{source}'; name a .pth file, a checkpoint or a run, or imagenet")
    try:
        held = load_file(path)
    except UserError as error:
        raise UserError(f"{KEY}: {error}") from error
    if isinstance(held, dict) and isinstance(held.get("state_dict"), dict):  # a checkpoint of ours: a task with a net
        task = held["state_dict"]
        held = {name.removeprefix("net."): task[name] for name in task if name.startswith("net.")}
    if not (isinstance(held, dict) and held and all(isinstance(value, Tensor) for value in held.values())):
        raise UserError(f"{KEY}: {path} is neither a file of weights by name nor a checkpoint of a run")
    return held


def load(net: nn.Module, weights: Weights, source: str) -> str:
    """Load weights into a ResNet; its output layer `fc` keeps its own where the number of outputs differs.

    A network of grey images takes the first convolution's weights summed over the colours: it answers grey images
    as the other answers the same ones in three equal colours.

    Args:
        net: Changed in place.
        weights: By name.
        source: Where they come from, for messages.

    Returns:
        What was taken, in a few words.

    Raises:
        UserError: Another layer does not fit; names the first, and what to set.
    """
    own = net.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    head = {name: value for name, value in weights.items() if name.startswith("fc.")}
    if "conv1.weight" in given and given["conv1.weight"].dim() == 4 and own["conv1.weight"].shape[1] == 1:
        given["conv1.weight"] = given["conv1.weight"].sum(1, keepdim=True)
    for name, value in own.items():
        if name.startswith("fc.") or (name.endswith("num_batches_tracked") and name not in given):
            continue  # old files do not count batches
        if name not in given or given[name].shape != value.shape:
            there = f"has shape {(*given[name].shape,)}" if name in given else "is missing"
            raise UserError(
                f"{KEY}: in {source}, {name} {there}; the network's has shape {(*value.shape,)}{_advice(given, own)}"
            )
    for name in given:
        if name not in own:
            raise UserError(f"{KEY}: {source} has {name}, and the network has no such layer{_advice(given, own)}")
    fits = {name: value.shape for name, value in head.items()} == {
        name: value.shape for name, value in own.items() if name.startswith("fc.")
    }
    net.load_state_dict(given | (head if fits else {}), strict=False)
    return f"weights of {source}, {'fc too' if fits else 'with a new fc'}"


def _of_torchvision(depth: int) -> Weights:
    from torchvision.models import get_model_weights, list_models

    if f"resnet{depth}" not in list_models():
        raise UserError(f"{KEY}: torchvision has none for depth {depth}; set model.net.depth=18")
    default = get_model_weights(f"resnet{depth}").DEFAULT
    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(default.url).name
    try:
        weights: Weights = default.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network; or a hash that differs
        raise UserError(
            f"{KEY}: cannot fetch {default.url} ({error})\n"
            f"  fetch it elsewhere and put it there: {place}\n"
            f"  or name a file or a run of yours: {KEY}=PATH; or begin with random weights: {KEY}=null"
        ) from error
    return weights


def _best_of_run(directory: Path) -> Path:
    """The best checkpoint of a run, or of the only run in a folder; which of several is the user's to say."""
    found = {file for deep in ("", "*/", "*/*/") for file in directory.glob(deep + BEST)}
    if len(found) == 1:
        return found.pop()
    runs = ", ".join(sorted(str(file.parents[1]) for file in found)[-5:])
    offer = f"several runs; name one: {runs}" if found else f"no run with a {BEST}"
    raise UserError(f"{KEY}: {directory} holds {offer}")


def _advice(given: Weights, own: Weights) -> str:
    """What to set so that the weights fit, where their names and shapes tell."""
    fitting = []
    if _depth(given) != _depth(own):
        fitting.append(f"model.net.depth={_depth(given)}")
    if "conv1.weight" in given and given["conv1.weight"].dim() == 4:
        (width, colours, side, _), mine = given["conv1.weight"].shape, own["conv1.weight"].shape
        if width != mine[0]:
            fitting.append(f"model.net.width={width}")
        if side != mine[2]:
            fitting.append(f"model.net.stem={'imagenet' if side == 7 else 'small'}")
        if colours != mine[1]:
            return f"\n  they are of images with {colours} channels, the data's have {mine[1]}"
    return f"\n  set {' '.join(fitting)}" if fitting and _depth(given) > 2 else ""


def _depth(weights: Weights) -> int:
    """Layers with weights, as ResNets are named after them: the convolutions in blocks, the first one and the last."""
    return 2 + sum(re.fullmatch(r"layer\d\.\d+\.conv\d\.weight", name) is not None for name in weights)
