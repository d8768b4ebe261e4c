"""First batch of the training and the graph of the network, in TensorBoard."""

import logging
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from trainer.callbacks.plots.formatting import format_input, format_target, get_vocabulary
from trainer.callbacks.plots.image_grid import make_image_grid
from trainer.callbacks.plots.line_chart import Axes, Line, draw_chart
from trainer.callbacks.plots.media import get_writers, log_image, log_table
from trainer.callbacks.plots.style import BLACK, COLORS
from trainer.core.callback import Callback, unchanged_state
from trainer.core.spec import Batch, DataSpec, find_spec, is_pair
from trainer.task.adversarial_networks import is_adversarial

MAX_CURVES = 6  # sequences in a chart
PLOT_SIZE_PIXELS = (640, 320)

log = logging.getLogger(__name__)


class FirstBatch(Callback):
    """Log `train/first_batch` and the graph of the network once, before the first step.

    The batch is shown as the network receives it: augmented, scaled and in its order. Images and sequences are drawn,
    texts and vectors are written as a table.

    Args:
        examples: Largest number of examples.
        columns: Number of images in a row.
        graph: Whether the graph of the network is logged.
    """

    affects_training = False
    skips_steps = True  # it only needs the first step, which `trainer.training.loop` always runs with hooks

    def __init__(self, *, examples: int = 16, columns: int = 8, graph: bool = True) -> None:
        self.examples = examples
        self.columns = columns
        self.graph = graph
        self._is_pending = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        directories = [Path(writer.log_dir) for writer in get_writers(trainer)]
        # a resumed run has logged it already
        is_resumed = trainer.global_step > 0 and any(len([*path.glob("events.*")]) > 1 for path in directories)
        self._is_pending = bool(directories) and not is_resumed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, *_: Any) -> None:
        if not self._is_pending:
            return
        self._is_pending = False
        spec = find_spec(getattr(trainer, "datamodule", None))
        if spec is None or not is_pair(batch):
            return
        inputs, targets = (part[: self.examples].detach().cpu() for part in batch)
        if spec.kind in ("image", "sequence"):
            log_image(lambda: draw_batch(inputs.float(), targets, spec, self.columns), "train/first_batch", trainer)
        else:
            vocabulary = get_vocabulary(trainer)
            rows = [
                (format_target(target, spec), format_input(example, spec, vocabulary))
                for example, target in zip(inputs, targets, strict=True)
            ]
            log_table(("target", "input"), rows, "train/first_batch", trainer)
        net = getattr(pl_module, "net", None)
        is_replicated = isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)  # not sharded
        if self.graph and is_replicated and isinstance(net, nn.Module):
            self._log_graph(trainer, net, batch)

    def _log_graph(self, trainer: Trainer, net: nn.Module, batch: Batch) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # imported already if there is a TensorBoard logger

        from trainer.callbacks.plots.model_graph import build_graph

        inputs, targets = (part[:2] for part in batch)
        with unchanged_state(net):
            try:
                net.eval()
                pair: Any = net
                if is_adversarial(pair):
                    noise = torch.zeros(len(inputs), pair.latent, device=inputs.device)
                    graph = build_graph(net, lambda: pair.discriminate(pair.generate(noise, targets), targets), noise)
                else:
                    graph = build_graph(net, lambda: net.forward(inputs), inputs)
            except Exception:  # a network may fail in any way outside of its task; the graph is optional
                log.debug("no graph of the network", exc_info=True)
                return
        for writer in get_writers(trainer):
            writer._get_file_writer().add_event(Event(graph_def=graph.SerializeToString()))


def draw_batch(inputs: Tensor, targets: Tensor, spec: DataSpec, columns: int) -> Image.Image:
    """Return an image of all images with their targets, or a chart of the first feature of sequences.

    Args:
        inputs: (examples, *spec.shape).
        targets: (examples,) or (examples, values).
        spec: Specification of the data set.
        columns: Number of images in a row.
    """
    names = [format_target(target, spec) for target in targets]
    if spec.kind == "image":
        return make_image_grid(inputs, [(name, BLACK) for name in names], min(columns, len(names)))
    curves = zip(names, inputs[:, :, 0], COLORS[:MAX_CURVES], strict=False)
    lines = [Line(name, color, values) for name, values, color in curves]
    return draw_chart(lines, Axes("First feature, by target", "position", "value"), PLOT_SIZE_PIXELS)
