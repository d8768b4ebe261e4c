"""First look: the first batch as the network sees it, and the graph of the network, in TensorBoard."""

import logging
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from trainer.callbacks.plots.formatting import told_input, told_target, vocabulary_of
from trainer.callbacks.plots.line_chart import BLACK, COLOURS, Line, chart
from trainer.callbacks.plots.tensorboard import boards, show, tabulate
from trainer.callbacks.prediction_images import sheet
from trainer.core.spec import Batch, DataSpec

CURVES, SIZE = 6, (640, 320)  # sequences in a picture; its pixels

log = logging.getLogger(__name__)


@runtime_checkable
class Pair(Protocol):
    """Two networks that learn from one another: `trainer.model.gan`, or your own."""

    latent: int

    def make(self, noise: Tensor, targets: Tensor) -> Tensor:
        """Inputs of noise."""
        ...

    def judge(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """How real inputs are."""
        ...


class FirstLook(Callback):
    """Show `train/first_batch` and the graph, once, before the first step.

    The batch is as the network gets it: augmented, scaled, in its order; images and sequences as a picture, texts and
    vectors as a table.

    Args:
        examples: How many at most.
        columns: Images in a row.
        graph: Whether the network's graph is shown.
    """

    affects_training = False
    skips_steps = True  # all but the first, and that one `trainer.training.loop` makes by itself

    def __init__(self, *, examples: int = 20, columns: int = 10, graph: bool = True) -> None:
        self.examples, self.columns, self.graph = examples, columns, graph
        self._looks = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folders = [Path(board.log_dir) for board in boards(trainer)]
        goes_on = trainer.global_step > 0 and any(len([*each.glob("events.*")]) > 1 for each in folders)
        self._looks = bool(folders) and not goes_on  # a run that goes on has shown it

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, *_: Any) -> None:
        if not self._looks:
            return
        self._looks = False
        spec = getattr(getattr(trainer, "datamodule", None), "spec", None)
        if not isinstance(spec, DataSpec):  # somebody's own loaders
            return
        inputs, targets = (part[: self.examples].detach().cpu() for part in batch)
        if spec.kind in ("image", "sequence"):
            show(lambda: drawn(inputs.float(), targets, spec, self.columns), "train/first_batch", trainer)
        else:
            vocabulary = vocabulary_of(trainer)
            rows = [
                (told_target(target, spec), told_input(each, spec, vocabulary))
                for each, target in zip(inputs, targets, strict=True)
            ]
            tabulate(("target", "input"), rows, "train/first_batch", trainer)
        net = getattr(pl_module, "net", None)
        whole = isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)  # the network is, in each process
        if self.graph and whole and isinstance(net, nn.Module):
            self._show_graph(trainer, net, batch)

    def _show_graph(self, trainer: Trainer, net: nn.Module, batch: Batch) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # has been read by now, where there is a TensorBoard

        from trainer.callbacks.plots.model_graph import graph_of

        modes = {module: module.training for module in net.modules()}
        inputs, targets = (part[:2] for part in batch)
        try:
            net.eval()
            if isinstance(net, Pair):
                noise = torch.zeros(len(inputs), net.latent, device=inputs.device)
                graph = graph_of(net, lambda: net.judge(net.make(noise, targets), targets), noise)
            else:
                graph = graph_of(net, lambda: net.forward(inputs), inputs)
        except Exception:  # whatever a network may do when it is called by itself; there is a graph or there is none
            log.debug("no graph of the network", exc_info=True)
            return
        finally:
            for module, mode in modes.items():
                module.training = mode
        for board in boards(trainer):
            board._get_file_writer().add_event(Event(graph_def=graph.SerializeToString()))


def drawn(inputs: Tensor, targets: Tensor, spec: DataSpec, columns: int) -> Image.Image:
    """Images under their targets, or the first feature of sequences, step by step.

    Args:
        inputs: (examples, *spec.shape).
        targets: (examples,) or (examples, values).
        spec: The data set's promise.
        columns: Images in a row.
    """
    names = [told_target(target, spec) for target in targets]
    if spec.kind == "image":
        return sheet(inputs, [(name, BLACK) for name in names], min(columns, len(names)))
    parts = zip(names, inputs[:, :, 0], COLOURS[:CURVES], strict=False)
    return chart([Line(name[:10], colour, each) for name, each, colour in parts], None, "by target", SIZE)
