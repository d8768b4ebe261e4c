"""Generator of the outputs of docs/tutorial.ipynb, from one execution of its cells.

    make tutorial

The cells run in an empty directory. Change the text and the code in the notebook itself.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "tutorial.ipynb"


def main() -> None:
    """Execute the notebook and write it with its outputs."""
    programs = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([programs, os.environ["PATH"]])  # of the cells
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with TemporaryDirectory() as directory:
        resources = {"metadata": {"path": directory}}
        NotebookClient(notebook, record_timing=False, coalesce_streams=True, resources=resources).execute()
    notebook.metadata.language_info = {"name": "python"}  # without the version
    text = nbformat.writes(notebook).replace(f"{programs}/", "")  # paths of this machine
    NOTEBOOK.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
