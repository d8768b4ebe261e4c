"""Draw the regions of images or the words of texts that a trained network uses.

trainer attribute CHECKPOINT FILES... [--to attribution.png] [--trust my_package] [--json]

CHECKPOINT  a .ckpt file, or a run directory (its best checkpoint)
FILES       images, texts or sentences, as for trainer predict; at most 64 examples
--to        image file; by default attribution.png in the working directory
--layer     layer of a convolutional network for Grad-CAM; by default the last convolution
--fit       for images with another aspect ratio than the training images: crop, pad or stretch
--invert    invert the brightness of images
--trust     comma-separated packages of yours whose code the checkpoint names

For tables, and for the test examples of a run: trainer test CHECKPOINT +callbacks=attribution
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer.callbacks.attribution import format_rows
from trainer.callbacks.plots.attributions import Attributions, TrainedNetwork, attribute_regions, attribute_words
from trainer.cli.commands import parse_arguments, print_table
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.core.errors import UserError
from trainer.core.formatting import quote_argument
from trainer.data.preprocessing.text import TextPreprocessing
from trainer.inference.attribution.image_regions import require_layer
from trainer.inference.load_checkpoint import load_checkpoint
from trainer.inference.predictor import Predictor
from trainer.task.objective import Objective
from trainer.task.test_time_augmentation import ViewAverage

MAX_EXAMPLES = 64
MAX_PRINTED_ROWS = 20


@dataclass(frozen=True)
class AttributionFile:
    """An image of the regions or words that a network uses.

    Args:
        file: The image.
        rows: Words with the effect of each on the prediction, the largest first, by column; empty for images.
    """

    file: Path
    rows: list[dict[str, Any]]


JSON_OUTPUTS: JsonOutputs = {"attribute": (AttributionFile, "The image and its table.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    fit = ("crop", "pad", "stretch")
    settings = {"to": "attribution.png", "layer": None, "fit": fit, "invert": False, "trust": "", "json": False}
    args = parse_arguments("attribute", argv, "checkpoint", "files+", **settings)
    output = Path(args.to)
    if output.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"attribute: --to: '{output}' ends neither in .png nor in .jpg")
    predictor = Predictor(load_checkpoint(Path(args.checkpoint), trusted=args.trust))
    _require_method(predictor, args.checkpoint, args.layer)
    options = {name: value for name, value in (("fit", args.fit), ("invert", args.invert)) if value}
    result = attribute(predictor, read_examples(predictor, args.files, options), args.layer)
    try:
        result.image.save(output)
    except OSError as error:
        raise UserError(f"attribute: cannot write '{output}': {error.strerror}") from error
    if args.json:
        print_json(AttributionFile(output, [dict(zip(result.header, row, strict=True)) for row in result.rows]))
        return 0
    if result.rows:
        print_table(result.header, format_rows(result.rows[:MAX_PRINTED_ROWS]))
    print(output)
    return 0


def _require_method(predictor: Predictor, checkpoint: str, layer: str | None) -> None:
    """Raise an error if there is no method for the data of a network, or the method uses no layer."""
    if not isinstance(predictor.objective, Objective) or predictor.spec.kind not in ("image", "tokens"):
        hint = f"for columns of tables: trainer test {quote_argument(checkpoint)} +callbacks=attribution"
        raise UserError(f"attribute: no method for data '{predictor.spec.name}'; expected images or texts\n  {hint}")
    if layer is not None and predictor.spec.kind != "image":
        raise UserError("attribute: --layer: has no effect on texts; leave it out")


def read_examples(predictor: Predictor, files: list[str], options: dict[str, Any]) -> list[Tensor]:
    """Return the network inputs of each example in files.

    Raises:
        UserError: There are too many examples, or a file is invalid.
    """
    examples: list[Tensor] = []
    for inputs, _ in predictor.read(files, batch_size=MAX_EXAMPLES, **options):
        examples += inputs
        if len(examples) > MAX_EXAMPLES:
            raise UserError(f"attribute: more than {MAX_EXAMPLES} examples; expected fewer files")
    return examples


@torch.no_grad()
def attribute(predictor: Predictor, examples: list[Tensor], layer: str | None) -> Attributions:
    """Return the regions or words of examples that a network uses.

    Args:
        predictor: Trained network for images or texts.
        examples: Network inputs of each example.
        layer: Name of the layer for Grad-CAM.

    Raises:
        UserError: The network has no such layer.
    """
    net = predictor.net.net if isinstance(predictor.net, ViewAverage) else predictor.net
    network = TrainedNetwork(net, predictor.net, predictor.objective)
    if predictor.spec.kind == "tokens":
        assert isinstance(predictor.preprocessing, TextPreprocessing)
        return attribute_words(network, predictor.preprocessing, examples, None)
    if layer is not None:
        require_layer(net, layer, predictor.spec.shape, "attribute: --layer")
    return attribute_regions(network, torch.stack(examples), None, layer)
