"""The pictures of a run, read from its TensorBoard events by TensorBoard's own reader."""

import base64
import logging
from pathlib import Path

from trainer.artifacts.fast_crc32c import quicken
from trainer.report.document import Picture

FORMATS = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"\xff\xd8\xff": "image/jpeg"}


def pictures(run: Path, *, test_alone: bool = False) -> list[Picture]:
    """The last picture of each tag, those of the test first; none where the events are missing.

    Args:
        run: The run directory.
        test_alone: Leave those of training and validation out, if there are any of the test.
    """
    events = run / "tensorboard"
    if not events.is_dir():
        return []
    from tensorboard.backend.event_processing import event_accumulator

    quicken()
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # a file that a killed run left half-written
    kinds = {event_accumulator.IMAGES: 1, event_accumulator.SCALARS: 1, event_accumulator.TENSORS: 1}
    board = event_accumulator.EventAccumulator(str(events), size_guidance=kinds)
    board.Reload()
    tags = sorted(board.Tags()["images"], key=lambda tag: not tag.startswith("test/"))
    of_test = [tag for tag in tags if tag.startswith("test/")]
    found = [(tag, board.Images(tag)[-1]) for tag in (of_test if test_alone and of_test else tags)]
    return [
        Picture(tag, image.step, image.width, image.height, _as_uri(image.encoded_image_string)) for tag, image in found
    ]


def _as_uri(data: bytes) -> str:
    kind = next((name for head, name in FORMATS.items() if data.startswith(head)), "image/png")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
