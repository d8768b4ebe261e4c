"""Export of a trained network to ONNX or `torch.export`, verified against the original.

A file is traced with one example; the batch size and the length of texts are dynamic. (An export with fixed sizes makes
PyTorch 2.15 fix the length in the next export of the process, so all exports are dynamic.)
"""

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from trainer.core.errors import UserError
from trainer.core.installation import format_install_command
from trainer.core.spec import PADDING_INDEX, DataSpec
from trainer.inference.predictor import Predictor
from trainer.model.gan import GAN

MAX_DIFFERENCE = 1e-5  # of outputs up to 1; relative for larger outputs
EXAMPLE_BATCH_SIZE = 3
EXAMPLE_SEQUENCE_LENGTH = 12
METADATA_FILENAME = "trainer.json"

DynamicShapes = tuple[dict[int, Any], ...]  # dynamic sizes by axis, for each input


@dataclass(frozen=True)
class ExportResult:
    """Exported file and its verification.

    Args:
        file: Exported file.
        inputs: Name and shape of each input; dynamic sizes by name.
        difference: Maximum difference between its outputs and the original ones.
        checked: Batch sizes and lengths at which they were compared.
    """

    file: Path
    inputs: dict[str, list[int | str]]
    difference: float
    checked: list[tuple[int, ...]]


class GANGenerator(nn.Module):
    """Generator of a trained GAN, from noise (and classes, if it is conditional) to images."""

    def __init__(self, net: GAN) -> None:
        super().__init__()
        self.generator_net = net.generator_average or net.generator
        self.classes = net.classes
        self.temperature = net.temperature

    def forward(self, noise: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return images (batch, *spec.shape) for normal noise (batch, latent) and classes (batch,)."""
        one_hot = [F.one_hot(classes, self.classes).to(noise)] if classes is not None else []
        return self.generator_net(torch.cat([self.temperature * noise, *one_hot], 1))


def export(predictor: Predictor, file: Path) -> ExportResult:
    """Write a network to an `.onnx` or `.pt2` file, if its outputs equal the original ones.

    Raises:
        UserError: The network cannot be exported, its outputs differ, or packages are missing.
    """
    net, make_inputs = select_exportable(predictor)
    write = export_onnx if file.suffix == ".onnx" else export_program
    unchecked = file.with_name(f"unchecked_{file.name}")
    example = make_inputs(EXAMPLE_BATCH_SIZE, EXAMPLE_SEQUENCE_LENGTH)
    metadata = json.dumps(build_metadata(predictor, [*example]), ensure_ascii=False)
    try:
        with suppress_exporter_output(), torch.no_grad():
            run, shapes = write(net, example, build_dynamic_shapes(predictor.spec, net), metadata, unchecked)
            difference, checked = compare_outputs(net, run, make_inputs, predictor)
        for name, shape in shapes.items():
            if not isinstance(shape[0], str):
                raise UserError(f"export: the exporter has fixed the batch size of '{name}' at {shape[0]}")
        if not difference <= MAX_DIFFERENCE:
            raise UserError(f"export: the outputs differ from the original ones by {difference:.1e}; expected <= 1e-5")
        unchecked.replace(file)
    except OSError as error:
        raise UserError(f"export: cannot write to '{file}': {error.strerror or error}") from error
    finally:
        unchecked.unlink(missing_ok=True)
    return ExportResult(file, shapes, difference, checked)


def select_exportable(predictor: Predictor) -> tuple[nn.Module, Callable[[int, int], dict[str, Tensor]]]:
    """Return the network to export, and a deterministic function that makes inputs of a batch size and a length."""
    net = predictor.net
    spec = predictor.spec
    if isinstance(net, GAN):
        return GANGenerator(net).eval(), lambda batch, time: _sample_noise(net, batch)
    if hasattr(net, "generator"):
        raise UserError(f"export: cannot choose between the networks of a {type(net).__name__}; expected model=gan")
    return net, lambda batch, time: {"inputs": _sample_inputs(spec, batch, min(time, spec.shape[0]))}


def build_dynamic_shapes(spec: DataSpec, net: nn.Module) -> DynamicShapes:
    """Return the dynamic axes of each input."""
    batch = Dim("batch", min=1)
    if isinstance(net, GANGenerator):
        return ({0: batch}, {0: batch}) if net.classes else ({0: batch},)
    if spec.kind == "tokens" and spec.shape[0] > 2:
        return ({0: batch, 1: Dim("time", min=1, max=spec.shape[0])},)
    return ({0: batch},)


def export_onnx(net: nn.Module, inputs: dict[str, Tensor], sizes: DynamicShapes, metadata: str, file: Path) -> Any:
    """Write an ONNX file; return a function that runs it, and the shapes of its inputs."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  the exporter needs it
    except ImportError as error:
        raise UserError(f"export: ONNX needs more packages; install them: {format_install_command('onnx')}") from error
    named_sizes = tuple({axis: dim.__name__ for axis, dim in axes.items()} for axes in sizes)
    with translate_export_errors():
        names: Any = {"input_names": [*inputs], "output_names": ["outputs"], "dynamic_shapes": named_sizes}
        program: Any = torch.onnx.export(net, tuple(inputs.values()), dynamo=True, verbose=False, **names)
    program.model.metadata_props["trainer"] = metadata
    program.save(file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(batch: dict[str, Tensor]) -> Tensor:
        return torch.from_numpy(session.run(None, {name: tensor.numpy() for name, tensor in batch.items()})[0])

    return run, {node.name: [*node.shape] for node in session.get_inputs()}


def export_program(net: nn.Module, inputs: dict[str, Tensor], sizes: DynamicShapes, metadata: str, file: Path) -> Any:
    """Write a `torch.export` program; return a function that runs it, and the shapes of its inputs."""
    with ExitStack() as stack:
        from trainer.core.compat import export_patches

        for name in ("register_lstm_while_loop_decomposition", "register_gru_while_loop_decomposition"):
            if hasattr(export_patches, name):  # else the time steps are unrolled, and their number is fixed
                stack.enter_context(getattr(export_patches, name)())
        stack.enter_context(translate_export_errors())
        program = torch.export.export(net, tuple(inputs.values()), dynamic_shapes=sizes)
    torch.export.save(program, file, extra_files={METADATA_FILENAME: metadata})
    loaded: ExportedProgram = torch.export.load(file)
    module = loaded.module()
    shapes = {
        name: [axes[axis].__name__ if axis in axes else size for axis, size in enumerate(tensor.shape)]
        for (name, tensor), axes in zip(inputs.items(), sizes, strict=True)
    }
    return lambda batch: module(*batch.values()), shapes


def compare_outputs(
    net: nn.Module,
    run: Callable[[dict[str, Tensor]], Tensor],
    make_inputs: Callable[[int, int], dict[str, Tensor]],
    predictor: Predictor,
) -> tuple[float, list[tuple[int, ...]]]:
    """Return the maximum difference of the outputs at sizes other than the example's, and these sizes."""
    spec = predictor.spec
    scale = predictor.target_scale
    sizes: list[tuple[int, ...]] = [(1,), (5,), (2,)]
    if spec.kind == "tokens" and not isinstance(net, GANGenerator):
        sizes = [(1, 1), (5, spec.shape[0]), (2, spec.shape[0] // 2 + 1)]
    differences = []
    for batch_size, *length in sizes:
        inputs = make_inputs(batch_size, *length or [EXAMPLE_SEQUENCE_LENGTH])
        expected = net(*inputs.values())
        actual = run(inputs)
        if actual.shape != expected.shape:
            raise UserError(f"export: outputs have the shape {(*actual.shape,)}; expected {(*expected.shape,)}")
        expected, actual = (scale.standardize(values) if scale else values for values in (expected, actual))
        differences.append((actual - expected).abs().max() / max(1.0, expected.abs().max().item()))
    return torch.stack(differences).max().item(), sizes  # NaN if a difference is NaN


def build_metadata(predictor: Predictor, names: list[str]) -> dict[str, Any]:
    """Return the metadata that a user of the exported file needs, for JSON."""
    spec = predictor.spec
    preprocessing = predictor.preprocessing
    meaning = "one logit: sigmoid of it gives probabilities"
    if names[0] == "noise":
        meaning = "images, scaled as preprocessing scales them"
    elif not predictor.has_probabilities:
        meaning = "scores of a hinge loss: the class with the highest score, or the sign of a single one"
    elif spec.target == "regression":
        meaning = "values in the units of the targets; standardized by preprocessing.target_scale if there is one"
    elif spec.output_size > 1:
        meaning = "a logit for each class: softmax of them gives probabilities"
    threshold = {"threshold": predictor.objective.threshold.value} if len(spec.class_names) == 2 else {}
    state = preprocessing.state() if preprocessing else {}
    plain = {name: value.tolist() if isinstance(value, Tensor) else value for name, value in state.items()}
    return {
        "data": spec.title,
        "inputs": {"names": names, "kind": spec.kind, "shape": [*spec.shape], "padding": PADDING_INDEX},
        "preprocessing": plain and {"what": inspect.getdoc(type(preprocessing))} | plain,
        "outputs": {"meaning": meaning, "target": spec.target, "class_names": [*spec.class_names]} | threshold,
        "metrics": predictor.metrics,
        "provenance": predictor.provenance,
    }


@contextmanager
def translate_export_errors() -> Iterator[None]:
    """Convert errors of the exporter to a `UserError`."""
    try:
        yield
    except Exception as error:  # the exporter has many exception types
        cause: BaseException = error
        while cause.__cause__:
            cause = cause.__cause__
        lines = [line for line in str(cause).splitlines() if line.strip()]
        raise UserError("export: PyTorch cannot export this network:\n  " + "\n  ".join(lines[:3])) from error


@contextmanager
def suppress_exporter_output() -> Iterator[None]:
    """Suppress the warnings of the exporter, which are for its developers."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(level)


def _sample_inputs(spec: DataSpec, batch: int, time: int) -> Tensor:
    random = torch.Generator().manual_seed(batch)
    if spec.kind != "tokens":
        return torch.randn(batch, *spec.shape, generator=random)
    tokens = torch.randint(1, spec.vocabulary_size, (batch, time), generator=random)
    lengths = torch.randint(1, time + 1, (batch, 1), generator=random)
    lengths[0] = time
    return tokens * (torch.arange(time) < lengths)


def _sample_noise(net: GAN, batch: int) -> dict[str, Tensor]:
    noise = torch.randn(batch, net.latent, generator=torch.Generator().manual_seed(batch))
    return {"noise": noise} | ({"classes": torch.arange(batch) % net.classes} if net.classes else {})
