"""Images of a run, read from its TensorBoard events."""

import base64
import logging
from pathlib import Path

from trainer.artifacts.fast_crc32c import install_fast_crc32c
from trainer.reports.document import Image

MIME_TYPES = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"\xff\xd8\xff": "image/jpeg"}

# content of the images of this package, by the name after the stage
CONTENTS = {
    "first_batch": "inputs of the network below their targets",
    "predictions": "images below their predicted class and its probability, and the true class of wrong ones",
    "worst_predictions": "wrong predictions, a row for each true class",
    "confusion_matrix": "number of examples by true class (row) and predicted class (column)",
    "roc": "true positive rate over false positive rate of each class",
    "precision_recall": "precision over recall of each class",
    "regression_plot": "predicted values over true values",
    "price_forecast": "forecast and actual price by day",
    "attention": "attention of the network, drawn over its inputs",
    "attribution": "importance of parts of the input",
}


def read_images(run: Path, *, test_only: bool = False) -> list[Image]:
    """Return the last image of each tag, test images first; empty if the run has no events.

    Args:
        run: The run directory.
        test_only: Whether to leave out training and validation images if there are test images.
    """
    events = run / "tensorboard"
    if not events.is_dir():
        return []
    from tensorboard.backend.event_processing import event_accumulator

    install_fast_crc32c()
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # a killed run leaves an incomplete file
    size_guidance = {event_accumulator.IMAGES: 1, event_accumulator.SCALARS: 1, event_accumulator.TENSORS: 1}
    accumulator = event_accumulator.EventAccumulator(str(events), size_guidance=size_guidance)
    accumulator.Reload()
    tags = sorted(accumulator.Tags()["images"], key=lambda tag: not tag.startswith("test/"))
    test_tags = [tag for tag in tags if tag.startswith("test/")]
    images = [(tag, accumulator.Images(tag)[-1]) for tag in (test_tags if test_only and test_tags else tags)]
    return [
        Image(tag, _describe(tag), image.step, image.width, image.height, _to_data_uri(image.encoded_image_string))
        for tag, image in images
    ]


def _describe(tag: str) -> str:
    stage, _, name = tag.partition("/")
    content = next((text for prefix, text in CONTENTS.items() if name.startswith(prefix)), "image of a callback")
    return f"{content} ({stage})" if name else content


def _to_data_uri(data: bytes) -> str:
    mime_type = next((name for magic, name in MIME_TYPES.items() if data.startswith(magic)), "image/png")
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"
