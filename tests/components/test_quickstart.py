"""The notebook runs from top to bottom, here with small random networks, and holds what its code shows."""

import importlib.util
import json
import shutil

import pytest


@pytest.fixture(scope="module")
def notebook(root):
    return json.loads((root / "docs/quickstart.ipynb").read_text(encoding="utf-8"))


def test_every_cell_runs(root, tmp_path, network, notebook):
    for task in ("caption", "refcoco", "vqa"):
        shutil.copytree(network(), tmp_path / "models" / task)
    spec = importlib.util.spec_from_file_location("execute", root / "docs/execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bare = notebook | {"cells": [cell | ({"outputs": []} if "outputs" in cell else {}) for cell in notebook["cells"]]}
    done = module.execute(bare, tmp_path)
    before, after = ([cell for cell in book["cells"] if cell["cell_type"] == "code"] for book in (notebook, done))
    shown = [[sorted(output.get("data", ["text"])) for output in cell["outputs"]] for cell in after]
    assert shown == [[sorted(output.get("data", ["text"])) for output in cell["outputs"]] for cell in before]
    assert sum("image/png" in kinds for outputs in shown for kinds in outputs) == 2


def test_it_holds_pictures_and_no_errors(notebook):
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    assert len(outputs) > 6 and not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", ()) for output in outputs) == 2
    assert notebook["nbformat"] == 4 and all(cell["id"] for cell in notebook["cells"])
