"""The cells of docs/tutorial.ipynb run, and its stored outputs are those of one execution."""

import json
import re
from pathlib import Path

import pytest

import trainer

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs/tutorial.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
SOURCES = ["".join(cell["source"]) for cell in CELLS]


def run_cells(sources):
    """Execute cells in one namespace, and return it."""
    namespace = {}
    for source in sources:
        exec(compile(source, NOTEBOOK.name, "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def cwd(tmp_path, monkeypatch):
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)


def test_the_cells_of_a_single_run_work():
    sources = [re.sub(r"max_epochs=\d+", "max_epochs=1", source) for source in SOURCES if "sweep" not in source]
    names = run_cells(sources)
    assert len(names["run"].history["epoch"]) == 1
    assert names["run"].checkpoint.is_file()
    assert len(names["predictions"]) == len(names["labels"]) == 8


@pytest.mark.slow
def test_all_cells_work():
    names = run_cells(SOURCES)
    assert [run.state for run in names["sweep"].runs] == ["finished"] * 4
    assert isinstance(names["sweep"].best, trainer.Run)


def test_the_stored_outputs_are_complete():
    assert [cell["execution_count"] for cell in CELLS] == [*range(1, len(CELLS) + 1)]
    outputs = [output for cell in CELLS for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data", "execute_result"}
    assert len([output for output in outputs if "<svg" in json.dumps(output)]) == 2
    assert not re.search(r"(?<![\w.<*])/\w+/", json.dumps([output.get("text", "") for output in outputs]))
