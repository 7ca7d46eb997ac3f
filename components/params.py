"""Files with settings beside params.yaml: profiles and recipes, and the sections that a KFP component receives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ofa.data.files import atomic_write
from ofa.errors import OFAError, nearest

PROFILES = Path("params")
"""Profiles of the whole pipeline; in the folder `recipes`, settings of single trainings."""


def profile_file(name: str) -> Path:
    """The file of a profile or recipe.

    Raises:
        OFAError: there is none of this name.
    """
    known = {path.stem: path for path in sorted(PROFILES.rglob("*.yaml"))}
    if name not in known:
        raise OFAError(
            f"no profile '{name}' in {PROFILES}/{nearest(name, list(known))} (there are: {', '.join(known)})"
        )
    return known[name]


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
