"""Write a report of a run, or of all runs in a directory, as one HTML or Markdown file.

trainer report RUN|DIRECTORY [--to FILE] [--metric NAME] [--baseline OVERRIDES] [--direction min|max] [--markdown]
               [--json]

    trainer report outputs/digits_cnn/...                        a run: results, curves, images, commands
    trainer report outputs/sweep --metric test/accuracy          several runs: groups over seeds, intervals, importances
    trainer report outputs/sweep --baseline optimizer.lr=0.1     differences to this group; default: the first one

The default output is report.html in that directory, with all images embedded; it loads nothing from a server.
`--markdown` writes page.md, without drawings; report.md is the file that the sweep itself has written.
"""

from pathlib import Path

from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, WrittenFiles, print_json
from trainer.core.errors import UserError
from trainer.reports.report_file import DEFAULT_FILENAME, write_report_file

JSON_OUTPUTS: JsonOutputs = {"report": (WrittenFiles, "The report.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments(
        "report",
        argv,
        "directory",
        to=None,
        metric=None,
        baseline=None,
        direction=("min", "max"),
        markdown=False,
        json=False,
    )
    directory = Path(args.directory)
    file = Path(args.to or directory / ("page.md" if args.markdown else DEFAULT_FILENAME))
    if args.markdown != (file.suffix == ".md"):
        expected = "a file that ends in .md" if args.markdown else "--markdown, or a file that ends in .html"
        raise UserError(f"report: --to: '{file}' has the wrong format; expected {expected}")
    write_report_file(directory, file, args.metric, args.baseline, args.direction)
    if args.json:
        print_json(WrittenFiles([file]))
    else:
        print(file)
    return 0
