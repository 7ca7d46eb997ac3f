"""params.yaml and files like it: profiles, recipes, and the sections that a KFP component receives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ofa import settings
from ofa.errors import OFAError, nearest
from ofa.files import atomic_write

T = TypeVar("T")

SECTIONS = (
    "fetch",
    "validate",
    "tables",
    "codes",
    "model",
    "train",
    "vqgan",
    "stem",
    "pretrain",
    "finetune",
    "evaluate",
    "gate",
    "cluster",
    "serve",
)
"""The sections that steps read, in their order."""

PROFILES = Path("params")
"""Profiles of the whole pipeline; in the folder `recipes`, settings of single trainings."""


def load_params(path: str | Path) -> dict[str, Any]:
    """The sections of a file of settings.

    Raises:
        OFAError: the file is missing, is not YAML, or has a section that no step reads.
    """
    sections = settings.load_yaml(path)
    for name in sections:
        if name not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise OFAError(f"{path}: unknown section '{name}'{nearest(str(name), list(SECTIONS))} (known: {known})")
    return sections


def section(path: str | Path, name: str, cls: type[T]) -> T:
    """The section `name` of a file of settings as a `cls`.

    Raises:
        OFAError: it is not there, or holds something else.
    """
    load_params(path)
    return settings.section(path, name, cls)


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
        yaml.safe_dump(restored(sections), file, sort_keys=True)
    return str(path)


def restored(value: Any) -> Any:
    """A value as it was before KFP carried it: whole numbers are integers again."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: restored(part) for key, part in value.items()}
    if isinstance(value, list):
        return [restored(part) for part in value]
    return value
