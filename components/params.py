"""Sections of params.yaml as a KFP component receives them: parameters of type dict, written to a file again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ofa.data.files import atomic_write


def save_sections(folder: str | Path, **sections: Mapping[str, Any]) -> str:
    """Write sections to `folder`/params.yaml and return its path.

    KFP hands every number over as a float and forgets the order of keys: whole numbers become integers again, which
    settings of type float take as well, and keys are sorted.
    """
    path = Path(folder) / "params.yaml"
    with atomic_write(path) as file:
        yaml.safe_dump(_restored(sections), file, sort_keys=True)
    return str(path)


def _restored(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _restored(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_restored(part) for part in value]
    return value
