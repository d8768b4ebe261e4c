"""Generate new samples with a trained generative network.

trainer sample RUN_OR_CHECKPOINT [--count 64] [--seed 1] [--checkpoint last] [--to DIRECTORY] [--trust my_package]
               [--json]

Writes samples.npy and, for images, samples.png; by default into the run directory or, for a checkpoint file, into the
working directory.
"""

from pathlib import Path

import numpy as np

from trainer.callbacks.samples import SupportsSampling, generate_samples, tile_images
from trainer.cli.commands import integer, parse_arguments
from trainer.cli.json_output import JsonOutputs, WrittenFiles, print_json
from trainer.core.errors import UserError
from trainer.inference.load_checkpoint import load_checkpoint

GRID_COLUMNS = 8
JSON_OUTPUTS: JsonOutputs = {"sample": (WrittenFiles, "`samples.npy` and, for images, `samples.png`.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    count = {"type": integer(1), "default": 64}
    seed = {"type": integer(0), "default": 1}
    options = {"count": count, "seed": seed, "checkpoint": None, "to": None, "trust": "", "json": False}
    args = parse_arguments("sample", argv, "path", **options)
    path = Path(args.path)
    if args.checkpoint and path.is_file():
        raise UserError(f"sample: --checkpoint: '{path}' is a checkpoint itself; leave the option out")
    directory = Path(args.to or (path if path.is_dir() else "."))
    files = write_samples(path, directory, args.count, args.seed, args.checkpoint or "last", args.trust)
    if args.json:
        print_json(WrittenFiles(files))
    else:
        print("\n".join(map(str, files)))
    return 0


def write_samples(
    path: Path, directory: Path, count: int, seed: int, checkpoint: str = "last", trusted: str = ""
) -> list[Path]:
    """Write `samples.npy` and, for images, `samples.png`.

    Args:
        path: Run directory or checkpoint.
        directory: Output directory.
        count: Number of samples.
        seed: Seed of the noise.
        checkpoint: Name of the checkpoint in a run directory. Defaults to the last one.
        trusted: Comma-separated packages whose code the checkpoint may name. Defaults to none.

    Returns:
        list[Path]: The files. `samples.npy` has the shape (count, *shape) and the scale of the network's inputs.

    Raises:
        UserError: The checkpoint does not exist, its network generates no samples, or the files cannot be written.
    """
    model = load_checkpoint(path, checkpoint, trusted)
    if not isinstance(model.net, SupportsSampling):
        raise UserError(f"'{path}' contains a {type(model.net).__name__}, which generates no samples; use model=gan")
    samples = generate_samples(model.net, count, seed)
    files = [directory / "samples.npy"]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        np.save(files[0], samples.numpy())
        if model.spec.kind == "image":
            files.append(directory / "samples.png")
            tile_images(samples, model.spec, GRID_COLUMNS).save(files[1])
    except OSError as error:
        raise UserError(f"sample: cannot write to '{directory}': {error.strerror}") from error
    return files
