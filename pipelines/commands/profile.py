"""`ofa profile`: write the values of a named setting of the whole pipeline into params.yaml."""

from pathlib import Path
from typing import Annotated

import typer

from ofa.errors import OFAError, nearest

PROFILES = Path("params")
PARAMS = Path("params.yaml")


def profile(
    name: Annotated[str, typer.Argument(help="A file of params/ without its ending, for example full.")],
) -> None:
    """Set params.yaml to a profile: the values of params/NAME.yaml replace those of the same keys.

    params.yaml stays the one source of every setting; `git diff params.yaml` shows what a profile changed, and
    `git checkout params.yaml` brings the old values back.

    Example: `ofa profile full && dvc repro`
    """
    from ruamel.yaml import YAML

    from ofa.data.files import atomic_write

    known = sorted(path.stem for path in PROFILES.glob("*.yaml"))
    if name not in known:
        raise OFAError(f"no profile '{name}' in {PROFILES}/{nearest(name, known)} (there are: {', '.join(known)})")
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    params = yaml.load(PARAMS)
    overlay(params, yaml.load(PROFILES / f"{name}.yaml"), where=f"{PROFILES / name}.yaml")
    with atomic_write(PARAMS) as file:
        yaml.dump(params, file)
    typer.echo(f"{PARAMS} now holds profile '{name}'")


def overlay(params: dict, values: dict, where: str) -> None:
    """Replace the values of `params` by those of `values`, key by key, in place.

    Raises:
        OFAError: `values` has a key that `params` lacks.
    """
    for key, value in values.items():
        if key not in params:
            raise OFAError(f"{where}: unknown key '{key}'{nearest(str(key), [str(k) for k in params])}")
        if isinstance(value, dict) and isinstance(params[key], dict):
            overlay(params[key], value, where=f"{where}: {key}")
        else:
            params[key] = value
