"""Export: a trained network as an ONNX file or as a `torch.export` program, checked against the original.

A file is made from one example, with the size of the batch, and the length of texts, left open. (After an export with
fixed sizes PyTorch 2.15 freezes the length in the next one of the same process, so none is ever made here.)
"""

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from trainer.core.errors import UserError
from trainer.core.optional_packages import install_command
from trainer.core.spec import PADDING, DataSpec
from trainer.inference.predictor import Predictor
from trainer.model.gan import GAN

LARGEST = 1e-5  # difference that is taken, of numbers up to 1; of larger ones in proportion
EXAMPLES, TIME = 3, 12  # of the example that the file is made from
METADATA = "trainer.json"

Sizes = tuple[dict[int, Any], ...]  # open sizes by axis, one for each input


class Exported(NamedTuple):
    """What was made.

    Args:
        file: Where it lies.
        inputs: Name and shape of each input; a size that is open by its name.
        difference: The largest between its outputs and the original's.
        checked: Batch and time sizes at which they were compared.
    """

    file: Path
    inputs: dict[str, list[int | str]]
    difference: float
    checked: list[tuple[int, ...]]


class Maker(nn.Module):
    """A GAN's generator as it is used after the training: noise, and classes where it is told them, to images."""

    def __init__(self, net: GAN) -> None:
        super().__init__()
        self.maker, self.classes, self.temperature = net.average or net.generator, net.classes, net.temperature

    def forward(self, noise: Tensor, classes: Tensor | None = None) -> Tensor:
        """Make images.

        Shapes:
            noise: (batch, latent), normal
            classes: (batch,)
            returns: (batch, *spec.shape)
        """
        told = [F.one_hot(classes, self.classes).to(noise)] if classes is not None else []
        return self.maker(torch.cat([self.temperature * noise, *told], 1))


def export(predictor: Predictor, file: Path) -> Exported:
    """Write a network to a file whose name ends in `.onnx` or `.pt2`, if it gives what the original gives.

    Raises:
        UserError: It cannot be exported, or gives something else; or packages are missing.
    """
    net, inputs = what_is_exported(predictor)
    make = to_onnx if file.suffix == ".onnx" else to_program
    unchecked = file.with_name(f"unchecked_{file.name}")
    note = json.dumps(metadata(predictor, [*inputs(EXAMPLES, TIME)]), ensure_ascii=False)
    try:
        with quiet(), torch.no_grad():
            run, shapes = make(net, inputs(EXAMPLES, TIME), open_sizes(predictor.spec, net), note, unchecked)
            difference, checked = compared(net, run, inputs, predictor)
        for name, shape in shapes.items():
            if not isinstance(shape[0], str):
                raise UserError(f"export: the batch of '{name}' came out fixed at {shape[0]}: a fault of the exporter")
        if not difference <= LARGEST:
            raise UserError(f"export: the outputs differ from the original's by {difference:.1e}: an exporter fault")
        unchecked.replace(file)
    except OSError as error:
        raise UserError(f"export: cannot write to '{file}': {error.strerror or error}") from error
    finally:
        unchecked.unlink(missing_ok=True)
    return Exported(file, shapes, difference, checked)


def what_is_exported(predictor: Predictor) -> tuple[nn.Module, Callable[[int, int], dict[str, Tensor]]]:
    """The network or its part, and what makes inputs for it of a batch and a time size, always the same ones."""
    net, spec = predictor.net, predictor.spec
    if isinstance(net, GAN):
        return Maker(net).eval(), lambda batch, time: _noise(net, batch)
    if hasattr(net, "generator"):
        raise UserError(
            f"export: a {type(net).__name__} has two networks, and only of model=gan it is known which to take"
        )
    return net, lambda batch, time: {"inputs": _inputs(spec, batch, min(time, spec.shape[0]))}


def open_sizes(spec: DataSpec, net: nn.Module) -> Sizes:
    """Which sizes of the inputs may differ from those of the example."""
    batch = Dim("batch", min=1)
    if isinstance(net, Maker):
        return ({0: batch}, {0: batch}) if net.classes else ({0: batch},)
    longest = spec.shape[0]
    if spec.kind == "tokens" and longest > 2:
        return ({0: batch, 1: Dim("time", min=1, max=longest)},)
    return ({0: batch},)


def to_onnx(net: nn.Module, inputs: dict[str, Tensor], sizes: Sizes, note: str, file: Path) -> Any:
    """Write an ONNX file; returns what runs it, and the shapes of its inputs."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  the exporter needs it
    except ImportError as error:
        raise UserError(f"export: ONNX needs three packages; install them: {install_command('onnx')}") from error
    named = tuple({axis: dim.__name__ for axis, dim in each.items()} for each in sizes)
    with refused_in_one_line():
        made: Any = torch.onnx.export(
            net,
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=named,
            verbose=False,
            input_names=[*inputs],
            output_names=["outputs"],
        )
    made.model.metadata_props["trainer"] = note
    made.save(file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(given: dict[str, Tensor]) -> Tensor:
        return torch.from_numpy(session.run(None, {name: each.numpy() for name, each in given.items()})[0])

    return run, {each.name: [*each.shape] for each in session.get_inputs()}


def to_program(net: nn.Module, inputs: dict[str, Tensor], sizes: Sizes, note: str, file: Path) -> Any:
    """Write a program of `torch.export`; returns what runs it, and the shapes of its inputs."""
    with ExitStack() as stack:
        from torch.export import _patches

        for name in ("register_lstm_while_loop_decomposition", "register_gru_while_loop_decomposition"):
            if hasattr(_patches, name):  # without it steps are written out, and their number is fixed
                stack.enter_context(getattr(_patches, name)())
        stack.enter_context(refused_in_one_line())
        made = torch.export.export(net, tuple(inputs.values()), dynamic_shapes=sizes)
    torch.export.save(made, file, extra_files={METADATA: note})
    loaded: ExportedProgram = torch.export.load(file)
    module = loaded.module()
    shapes = {
        name: [sizes[place][axis].__name__ if axis in sizes[place] else size for axis, size in enumerate(each.shape)]
        for place, (name, each) in enumerate(inputs.items())
    }
    return lambda given: module(*given.values()), shapes


def compared(
    net: nn.Module,
    run: Callable[[dict[str, Tensor]], Tensor],
    inputs: Callable[[int, int], dict[str, Tensor]],
    predictor: Predictor,
) -> tuple[float, list[tuple[int, ...]]]:
    """Return the largest difference of the outputs at other sizes than the example's, and these sizes."""
    spec, scale = predictor.spec, predictor.target_scale
    timed = spec.kind == "tokens" and not isinstance(net, Maker)
    longest = spec.shape[0]
    sizes: list[tuple[int, ...]] = [(1, 1), (5, longest), (2, longest // 2 + 1)] if timed else [(1,), (5,), (2,)]
    differences = []
    for batch, *time in sizes:
        given = inputs(batch, *time or [TIME])
        expected, found = net(*given.values()), run(given)
        if found.shape != expected.shape:
            raise UserError(f"export: outputs came out {(*found.shape,)}, not {(*expected.shape,)}")
        expected, found = (scale.standardize(each) if scale else each for each in (expected, found))
        differences.append((found - expected).abs().max() / max(1.0, expected.abs().max().item()))
    return torch.stack(differences).max().item(), sizes  # NaN if one is


def metadata(predictor: Predictor, names: list[str]) -> dict[str, Any]:
    """What someone who has only the file needs to know, for JSON."""
    spec, made = predictor.spec, predictor.preprocessing
    logits = "one logit: sigmoid of it" if spec.output_size == 1 else "a logit for each class: softmax of them"
    meaning = f"{logits} gives probabilities"
    if spec.target == "values":
        meaning = "values in the units of the targets; standardized by preprocessing.target_scale if there is one"
    if not predictor.is_sure:
        meaning = "scores of a hinge loss: the greatest wins, or the sign of a single one"
    if names[0] == "noise":
        meaning = "images, in the numbers that preprocessing makes"
    state = made.state() if made else {}
    plain = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in state.items()}
    return {
        "data": spec.title,
        "inputs": {"names": names, "kind": spec.kind, "shape": [*spec.shape], "padding": PADDING},
        "preprocessing": plain and {"what": inspect.getdoc(type(made))} | plain,
        "outputs": {"meaning": meaning, "target": spec.target, "class_names": [*spec.class_names]},
        "metrics": predictor.metrics,
        "provenance": predictor.provenance,
    }


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    """Turn what the exporter says of a network that it cannot take into a message."""
    try:
        yield
    except Exception as error:  # its own kinds, of many places
        cause: BaseException = error
        while cause.__cause__:
            cause = cause.__cause__
        lines = [line for line in str(cause).splitlines() if line.strip()]
        raise UserError("export: PyTorch cannot export this network:\n  " + "\n  ".join(lines[:3])) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of the exporter, which are for those who work on it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _inputs(spec: DataSpec, batch: int, time: int) -> Tensor:
    random = torch.Generator().manual_seed(batch)
    if spec.kind != "tokens":
        return torch.randn(batch, *spec.shape, generator=random)
    tokens = torch.randint(1, spec.vocabulary_size, (batch, time), generator=random)
    lengths = torch.randint(1, time + 1, (batch, 1), generator=random)
    lengths[0] = time
    return tokens * (torch.arange(time) < lengths)


def _noise(net: GAN, batch: int) -> dict[str, Tensor]:
    noise = torch.randn(batch, net.latent, generator=torch.Generator().manual_seed(batch))
    return {"noise": noise} | ({"classes": torch.arange(batch) % net.classes} if net.classes else {})
