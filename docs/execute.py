"""Run quickstart.ipynb from top to bottom and keep what it shows.

After `make repro`: python docs/execute.py
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")


def execute(notebook: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The notebook with new outputs: its code cells were run as plain Python, in order, in `folder`.

    Raises:
        Exception: whatever a cell raises.
    """
    before, names, cells = os.getcwd(), {"__name__": "__main__"}, []
    os.chdir(folder)
    try:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                number = 1 + sum(other["cell_type"] == "code" for other in cells)
                outputs = _run("".join(cell["source"]), names, number)
                cell = cell | {"execution_count": number, "outputs": outputs}
            cells.append(cell)
    finally:
        os.chdir(before)
    return notebook | {"cells": cells}


def _run(code: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The outputs of a cell: what it prints, and the value of its last line if that is an expression."""
    tree, last = ast.parse(code), None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = None if last is None else eval(compile(last, f"cell {number}", "eval"), names)
    outputs = []
    if printed.getvalue():
        outputs.append(
            {"name": "stdout", "output_type": "stream", "text": printed.getvalue().splitlines(keepends=True)}
        )
    if value is not None:
        result = {"data": _shown(value), "execution_count": number, "metadata": {}, "output_type": "execute_result"}
        outputs.append(result)
    return outputs


def _shown(value: Any) -> dict[str, Any]:
    """A value as Jupyter shows it: pictures as PNG, anything else as text."""
    if not hasattr(value, "_repr_png_"):
        return {"text/plain": repr(value).splitlines(keepends=True)}
    return {
        "image/png": base64.b64encode(value._repr_png_()).decode(),
        "text/plain": [f"<{value.size[0]} x {value.size[1]}>"],
    }


def main() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    done = execute(notebook, NOTEBOOK.parents[1])
    NOTEBOOK.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
