"""The cells of docs/tutorial.ipynb run, and its stored outputs are those of one execution."""

import json
import re
from pathlib import Path

import pytest

import trainer

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs/tutorial.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def run_cells(cells):
    """Execute cells in one namespace, with one epoch per run, and return it."""
    namespace = {}
    for cell in cells:
        source = re.sub(r"max_epochs=\d+", "max_epochs=1", "".join(cell["source"]))
        exec(compile(source, NOTEBOOK.name, "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def cwd(tmp_path, monkeypatch):
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)


def is_sweep_cell(cell):
    return "sweep" in "".join(cell["source"])


def test_the_cells_of_a_single_run_work():
    names = run_cells([cell for cell in CELLS if not is_sweep_cell(cell)])
    assert len(names["run"].history["epoch"]) == 1
    assert names["run"].checkpoint.is_file()
    assert len(names["predictions"]) == len(names["labels"]) == 8


@pytest.mark.slow
def test_all_cells_work():
    names = run_cells(CELLS)
    assert [run.state for run in names["sweep"].runs] == ["finished"] * 4
    assert isinstance(names["sweep"].best, trainer.Run)


def test_the_stored_outputs_are_complete():
    assert [cell["execution_count"] for cell in CELLS] == [*range(1, len(CELLS) + 1)]
    outputs = [output for cell in CELLS for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "display_data", "execute_result"}
    assert len([output for output in outputs if "<svg" in json.dumps(output)]) == 2
    assert not re.search(r"(?<![\w.<*])/\w+/", json.dumps([output.get("text", "") for output in outputs]))
