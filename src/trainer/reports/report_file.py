"""Report of a directory as a file."""

from pathlib import Path

from trainer.artifacts.run_record import read_run
from trainer.core.atomic_write import atomic_write_text
from trainer.core.errors import UserError

DEFAULT_FILENAME = "report.html"


def write_report_file(
    directory: Path,
    file: Path,
    metric: str | None = None,
    baseline: str | None = None,
    direction: str | None = None,
) -> None:
    """Write the report of a run, or of all runs in a directory.

    Args:
        directory: Run directory, or a directory of runs.
        file: Output file, in Markdown if its name ends in `.md`, else in HTML.
        metric: See `trainer.reports.comparison.build_report`; only for a directory of runs.
        baseline: As `metric`.
        direction: As `metric`.

    Raises:
        UserError: The directory contains no run, an option has no effect, or the file cannot be written.
    """
    if not directory.is_dir():
        raise UserError(f"report: no directory '{directory}'")
    from trainer.reports.render import render_html, render_markdown  # drawing takes a second to import
    from trainer.reports.run_page import build_run_page
    from trainer.reports.sweep_page import build_sweep_page

    if (directory / "config.yaml").is_file():
        options = {"metric": metric, "baseline": baseline, "direction": direction}
        if unused := [name for name, value in options.items() if value]:
            raise UserError(f"report: '{directory}' is a single run; {', '.join(unused)}: expected a directory of runs")
        page = build_run_page(read_run(str(directory)))
    else:
        page = build_sweep_page(directory, metric, baseline, direction)
    try:
        atomic_write_text(file, render_markdown(page) if file.suffix == ".md" else render_html(page))
    except OSError as error:
        raise UserError(f"report: cannot write '{file}': {error.strerror}; name another file: --to FILE") from None
