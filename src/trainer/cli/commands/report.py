"""A report of a run, or of all runs below a folder, as one file that opens without a server.

trainer report RUN|FOLDER [to=FILE] [metric=NAME] [baseline=WORDS] [direction=min|max] [--markdown]

    trainer report outputs/digits_cnn/...                       one run: results, curves, pictures, how to run it again
    trainer report outputs/sweep metric=test/accuracy           many: groups over seeds, intervals, what mattered
    trainer report outputs/sweep 'baseline=optimizer.lr=0.1'    compared with that group; else with the first one run

It is written to report.html in that folder, with all pictures in it; it asks no server for anything. `--markdown`
writes page.md, without the drawings: report.md is what a sweep has written by itself.
"""

from pathlib import Path

from trainer.artifacts.run_record import Record
from trainer.core.errors import UserError, did_you_mean

SETTINGS = ("to", "metric", "baseline", "direction")


def main(words: list[str]) -> int:
    """Write the report that stands behind `report`; the exit status is 0."""
    as_markdown = "--markdown" in words
    folder, given = arguments([word for word in words if word != "--markdown"])
    from trainer.report.render import html, markdown  # what draws takes a second to import
    from trainer.report.run_page import run_page
    from trainer.report.sweep_page import sweep_page

    record = Record(folder)
    if record.config and record.provenance:
        unused = [name for name in ("metric", "baseline", "direction") if name in given]
        if unused:
            raise UserError(f"report: '{folder}' is one run; {' and '.join(unused)} compare the runs of a folder")
        page = run_page(record)
    else:
        page = sweep_page(folder, *(given.get(name) for name in ("metric", "baseline", "direction")))
    file = Path(given.get("to", folder / ("page.md" if as_markdown else "report.html")))
    try:
        file.write_text(markdown(page) if as_markdown else html(page), encoding="utf-8")
    except OSError as error:
        raise UserError(f"report: cannot write '{file}': {error.strerror}; name another file: to=FILE") from None
    print(file)
    return 0


def arguments(words: list[str]) -> tuple[Path, dict[str, str]]:
    """Folder and settings from the command line.

    Raises:
        UserError: Something is missing or unknown.
    """
    given = dict(word.split("=", 1) for word in words if "=" in word)
    for name in given:
        if name not in SETTINGS:
            raise UserError(
                f"report: there is no '{name}'{did_you_mean(name, [*SETTINGS])}; there are: {', '.join(SETTINGS)}"
            )
    folders = [word for word in words if "=" not in word]
    if len(folders) != 1 or folders[0].startswith("-"):
        raise UserError("report: name one run or folder of runs: trainer report DIR [to=FILE] [--markdown]")
    if not Path(folders[0]).is_dir():
        raise UserError(f"report: no folder '{folders[0]}'")
    return Path(folders[0]), given
