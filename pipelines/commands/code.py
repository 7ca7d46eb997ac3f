"""`ofa code`: what the code of each step does, as short hashes."""

import json
from typing import Annotated

import typer


def code(out: Annotated[str, typer.Option(help="JSON file to write.")] = "reports/code.json") -> None:
    """Write a hash of what the code of each step does; the stages of dvc.yaml depend on those.

    Comments, docstrings and layout do not count: after a change of them no stage runs again.

    Example: `ofa code --out reports/code.json`
    """
    from components.code import step_hashes
    from ofa.files import atomic_write

    with atomic_write(out) as file:
        json.dump(step_hashes(), file, indent=2)
        file.write("\n")
    typer.echo(out)
