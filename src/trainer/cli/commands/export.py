"""Export a trained network to ONNX or torch.export.

trainer export CHECKPOINT [--format onnx] [--to FILE.onnx] [--trust my_package] [--json]

CHECKPOINT  a .ckpt file, or a run directory (its best checkpoint)
--format    onnx (requires the extra onnx), or torch for a .pt2 file
--to        output file, .onnx or .pt2; by default the checkpoint's name, in the working directory
--trust     comma-separated packages of yours whose code the checkpoint names

Batch size and text length are dynamic. The file is kept only if its outputs differ by at most 1e-5 from those of the
original, for other sizes than those of the export. Its metadata contain the preprocessing of the inputs as JSON.
"""

from pathlib import Path

from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.core.errors import UserError
from trainer.inference.export import ExportResult, export
from trainer.inference.load_checkpoint import load_checkpoint
from trainer.inference.predictor import Predictor

FORMAT_SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
JSON_OUTPUTS: JsonOutputs = {"export": (ExportResult, "The file and its verification.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("export", argv, "checkpoint", format=tuple(FORMAT_SUFFIXES), to=None, trust="", json=False)
    kind = args.format or ("torch" if Path(args.to or "").suffix == ".pt2" else "onnx")
    if args.to and Path(args.to).suffix != FORMAT_SUFFIXES[kind]:
        raise UserError(f"export: --to: '{args.to}' does not end in {FORMAT_SUFFIXES[kind]}")
    checkpoint = load_checkpoint(Path(args.checkpoint), trusted=args.trust)
    result = export(Predictor(checkpoint), Path(args.to or checkpoint.file.with_suffix(FORMAT_SUFFIXES[kind]).name))
    if args.json:
        print_json(result)
        return 0
    for name, shape in result.inputs.items():
        print(f"{name}: {' x '.join(map(str, shape))}")
    sizes = ", ".join(" x ".join(map(str, size)) for size in result.checked)
    print(f"largest difference from the original: {result.difference:.1e} (batches of {sizes})")
    print(result.file)
    return 0
