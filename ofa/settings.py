"""From a mapping (a section of params.yaml, a config.json) to a typed settings dataclass, with errors for people.

Settings are frozen dataclasses whose fields document themselves and whose `__post_init__` checks what types cannot
say. This module adds what the user of a YAML file needs: unknown keys are refused with the nearest known one, and
every error names the place of the value.
"""

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ofa.errors import OFAError, nearest

T = TypeVar("T")


def build(cls: type[T], values: Mapping[str, Any] | None, where: str) -> T:
    """Make a `cls` (a dataclass, whose fields may be dataclasses) from `values`.

    `where` names the origin of the values in errors, for example "params.yaml: pretrain".

    Raises:
        OFAError: an unknown key, a missing one, a value of a wrong type, or a value that `cls` refuses.
    """
    from pydantic import TypeAdapter, ValidationError

    values = {} if values is None else values
    _refuse_unknown_keys(cls, values, where)
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        given = "" if first["type"] == "missing" or not key else f" (given: {first['input']!r})"
        message = first["msg"].removeprefix("Value error, ")
        raise OFAError(f"{where}{'.' + key if key else ''}: {message}{given}") from None
    except OFAError as error:  # of a class that checks itself
        raise OFAError(f"{where}: {error}") from None


def from_fields(cls: type[T], values: Mapping[str, Any], what: str) -> T:
    """Make a dataclass that checks its values itself.

    Raises:
        OFAError: a key is not a field; the nearest one is named, and `what` the values configure.
    """
    known = [field.name for field in dataclasses.fields(cls)]
    for key in values:
        if key not in known:
            raise OFAError(f"configuration of {what}: no field '{key}'{nearest(key, known)}")
    return cls(**values)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        OFAError: the file is missing, is not YAML, or holds no mapping.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OFAError(f"{path}: no such file; run from the root of the project or name the file") from None
    except yaml.YAMLError as error:
        raise OFAError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise OFAError(f"{path}: expected sections with keys, found {type(values).__name__}")
    return values


def section(path: str | Path, name: str, cls: type[T]) -> T:
    """The section `name` of the YAML file `path` as a `cls`."""
    sections = load_yaml(path)
    if name not in sections:
        raise OFAError(f"{path}: no section '{name}'{nearest(name, list(sections))}")
    return build(cls, sections[name], f"{path}: {name}")


def _refuse_unknown_keys(cls: type, values: object, where: str) -> None:
    if not isinstance(values, Mapping):
        raise OFAError(f"{where}: expected keys and values, found {values!r}")
    hints = typing.get_type_hints(cls)
    fields = [field.name for field in dataclasses.fields(cls)]
    for key, value in values.items():
        if key not in fields:
            raise OFAError(f"{where}: unknown key '{key}'{nearest(str(key), fields)} (known: {', '.join(fields)})")
        if dataclasses.is_dataclass(hints[key]):
            _refuse_unknown_keys(hints[key], value, f"{where}.{key}")
