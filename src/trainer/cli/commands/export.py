"""A trained network as a file for other programs: ONNX, or torch.export.

trainer export CHECKPOINT [format=onnx] [to=FILE.onnx] [trust=my_package]

CHECKPOINT  a .ckpt file, or a run directory, whose best checkpoint is taken
format      onnx (needs the extra onnx: pip install -e '.[onnx]' in the checkout), or torch for a .pt2 file
to          where it goes; ends in .onnx or .pt2. Without it: the checkpoint's name, in the working directory
trust       packages of your own whose code the checkpoint names, with commas between them

The size of the batch, and the length of texts, stay open. The file is kept if its outputs are those of the original to
1e-5, at other sizes than it was made with. How its inputs are made of raw data stands in its metadata, as JSON.
"""

from pathlib import Path

from trainer.cli.commands import split_words
from trainer.core.errors import UserError
from trainer.inference.export import export
from trainer.inference.load_checkpoint import restore
from trainer.inference.predictor import Predictor

USAGE = "trainer export CHECKPOINT [format=onnx] [to=FILE.onnx]"
ENDINGS = {"onnx": ".onnx", "torch": ".pt2"}


def main(words: list[str]) -> int:
    """Run the command with the words behind `export`; the exit status is 0."""
    names, given = split_words(words, ["format", "to", "trust"], USAGE)
    if len(names) != 1:
        raise UserError(f"export: name a checkpoint or a run directory\n  {USAGE}")
    kinds = {ending: kind for kind, ending in ENDINGS.items()}
    kind = given.get("format") or kinds.get(Path(given.get("to", ".onnx")).suffix, "onnx")
    if kind not in ENDINGS:
        raise UserError(f"export: format='{kind}' is neither onnx nor torch")
    made = restore(Path(names[0]), trusted=given.get("trust", ""))
    file = Path(given.get("to", made.file.with_suffix(ENDINGS[kind]).name))
    if file.suffix != ENDINGS[kind]:
        raise UserError(f"export: to='{file}' does not end in {ENDINGS[kind]}")
    done = export(Predictor(made), file)
    for name, shape in done.inputs.items():
        print(f"{name}: {' x '.join(map(str, shape))}")
    sizes = ", ".join(" x ".join(map(str, size)) for size in done.checked)
    print(f"largest difference from the original: {done.difference:.1e} (batches of {sizes})")
    print(done.file)
    return 0
