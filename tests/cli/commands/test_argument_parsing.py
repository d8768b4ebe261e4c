"""Tests of the argument parser that all commands share."""

import pytest

from trainer.cli.commands import integer, parse_arguments

OPTIONS = {
    "to": None,
    "trust": "",
    "fit": ("crop", "pad"),
    "count": {"type": integer(1), "default": 64},
    "current_code": False,
    "csv": False,
    "markdown": False,
    "json": False,
}


def test_options_have_their_values_and_otherwise_their_defaults():
    args = parse_arguments(
        "name", ["run", "--count", "3", "optimizer.lr=1", "--current-code"], "path", "more*", **OPTIONS
    )
    given = {"path": "run", "more": ["optimizer.lr=1"], "count": 3, "current_code": True}
    defaults = {"to": None, "trust": "", "fit": None, "csv": False, "markdown": False, "json": False}
    assert vars(args) == given | defaults
    assert parse_arguments("name", ["run"], "path", **OPTIONS).count == 64


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--to=a", "--to=b"], "argument --to: given 2 times; expected it once"),
        (["--json", "--json"], "argument --json: given 2 times; expected it once"),
        (["--to="], "argument --to: empty value; expected --to=VALUE, or leave it out"),
        (["--trust", ""], "argument --trust: empty value; expected --trust=VALUE, or leave it out"),
        (["--count="], "argument --count: '' is not an integer of at least 1"),
        (["--json=yes"], "argument --json: takes no value; expected --json"),
        (["--csv", "--json"], "arguments --csv and --json: contradict each other; expected one of them"),
        (["to=a"], "argument 'to=a': options start with two dashes; expected --to=a"),
        (["current-code=true"], "argument 'current-code=true': options start with two dashes; expected --current-code"),
        (["--markdwon"], "unrecognized arguments: --markdwon; did you mean '--markdown'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("positionals", [["path"], ["path", "more*"]], ids=len)
def test_invalid_options_are_reported_in_one_line(argv, message, positionals, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        parse_arguments("name", ["run", *argv], *positionals, **OPTIONS)
    assert capsys.readouterr().err == f"error: name: {message}  (see trainer name --help)\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("runs --sort=", "runs: argument --sort: empty value; expected --sort=VALUE"),
        ("runs sort=test/loss", "runs: argument 'sort=test/loss': options start with two dashes; expected --sort="),
        (
            "replay run trust=mine",
            "replay: argument 'trust=mine': options start with two dashes; expected --trust=",
        ),
        ("sample count=3", "sample: argument 'count=3': options start with two dashes; expected --count=3"),
        (
            "predict a.ckpt b.csv invert=true",
            "predict: argument 'invert=true': options start with two dashes; expected",
        ),
        ("sample file --checkpoint=best", "sample: --checkpoint: 'file' is a checkpoint itself; leave the option out"),
        ("report . --to=a.html --markdown", "report: --to: 'a.html' has the wrong format; expected a file that ends"),
        ("report . --to=a.md", "report: --to: 'a.md' has the wrong format; expected --markdown, or a file that ends"),
        ("sweep report s metric=a", "sweep report: argument 'metric=a': options start with two dashes; expected --me"),
    ],
)
def test_commands_refuse_contradictory_empty_and_undashed_options(line, message, command, tmp_path):
    (tmp_path / "file").touch()
    outcome = command(*line.split())
    assert (outcome.code in (1, 2), outcome.out) == (True, "")
    assert outcome.err.startswith(f"error: {message}")
    assert outcome.err.count("\n") == 1
