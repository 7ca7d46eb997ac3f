"""The notebook runs from top to bottom, here with small random networks, and holds what its code shows.

After `make repro`, `jupyter execute --inplace docs/quickstart.ipynb` renews what it holds.
"""

import copy
import shutil

import nbformat
import pytest
from nbclient import NotebookClient


@pytest.fixture(scope="module")
def notebook(root):
    book = nbformat.read(root / "docs" / "quickstart.ipynb", as_version=4)
    nbformat.validate(book)
    return book


def outputs(book):
    """The kinds of what each cell shows, by cell."""
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return [[sorted(output.get("data", [output.output_type])) for output in cell.outputs] for cell in cells]


def test_every_cell_runs(tmp_path, network, notebook, root, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(root))
    for task in ("caption", "refcoco", "vqa"):
        shutil.copytree(network(), tmp_path / "models" / task)
    executed = copy.deepcopy(notebook)
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(executed, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert outputs(executed) == outputs(notebook)


def test_it_holds_pictures_and_no_errors(notebook):
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert len(shown) > 6 and not [output for output in shown if output.output_type == "error"]
    assert sum("image/png" in output.get("data", ()) for output in shown) == 2
