"""`ofa profile`: write the values of a named setting of the whole pipeline into params.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from ofa.errors import OFAError, nearest

PARAMS = Path("params.yaml")


def profile(
    name: Annotated[str, typer.Argument(help="A file of params/ or params/recipes/ without its ending.")],
) -> None:
    """Set params.yaml to a profile or a recipe: the values of params/NAME.yaml replace those of the same keys.

    params.yaml stays the one source of every setting; `git diff params.yaml` shows what a profile changed, and
    `git checkout params.yaml` brings the old values back.

    Example: `ofa profile full && dvc repro`
    """
    from ruamel.yaml import YAML

    from components.params import profile_file
    from ofa.files import atomic_write

    path = profile_file(name)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    params = yaml.load(PARAMS)
    overlay(params, yaml.load(path), where=str(path))
    with atomic_write(PARAMS) as file:
        yaml.dump(params, file)
    typer.echo(f"{PARAMS} now holds profile '{name}'")


def overlay(params: dict, values: dict, where: str) -> None:
    """Replace the values of `params` by those of `values`, key by key, in place.

    Inside a section keys may be new: its stage knows them all and refuses the rest.

    Raises:
        OFAError: `values` has a section that `params` lacks.
    """
    for name, section in values.items():
        if name not in params:
            raise OFAError(f"{where}: unknown section '{name}'{nearest(str(name), [str(key) for key in params])}")
        _merge(params, name, section)


def _merge(values: dict, key: str, value: object) -> None:
    if isinstance(value, dict) and isinstance(values.get(key), dict):
        for name, part in value.items():
            _merge(values[key], name, part)
    else:
        values[key] = value
