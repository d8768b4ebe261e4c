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

from trainer.artifacts.run_record import read_run
from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, WrittenFiles, print_json
from trainer.core.atomic_write import atomic_write_text
from trainer.core.errors import UserError

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
    if not directory.is_dir():
        raise UserError(f"report: no directory '{directory}'")
    file = Path(args.to or directory / ("page.md" if args.markdown else "report.html"))
    if args.markdown != (file.suffix == ".md"):
        expected = "a file that ends in .md" if args.markdown else "--markdown, or a file that ends in .html"
        raise UserError(f"report: --to: '{file}' has the wrong format; expected {expected}")
    from trainer.report.render import render_html, render_markdown  # drawing takes a second to import
    from trainer.report.run_page import build_run_page
    from trainer.report.sweep_page import build_sweep_page

    if (directory / "config.yaml").is_file():
        record = read_run(args.directory)
        unused = [f"--{name}" for name in ("metric", "baseline", "direction") if getattr(args, name)]
        if unused:
            raise UserError(f"report: '{directory}' is a single run; {', '.join(unused)}: expected a directory of runs")
        page = build_run_page(record)
    else:
        page = build_sweep_page(directory, args.metric, args.baseline, args.direction)
    try:
        atomic_write_text(file, render_markdown(page) if args.markdown else render_html(page))
    except OSError as error:
        raise UserError(f"report: cannot write '{file}': {error.strerror}; name another file: --to FILE") from None
    if args.json:
        print_json(WrittenFiles([file]))
    else:
        print(file)
    return 0
