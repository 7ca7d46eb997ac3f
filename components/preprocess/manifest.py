"""`manifest.json`: what a folder of raw data holds, so that later steps know exactly what they read.

The file is written last: a folder without it is unfinished. It has no times in it, so the same data gives the same
bytes.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ofa.errors import OFAError
from ofa.files import atomic_write, sha256_file
from ofa.progress import bar

NAME = "manifest.json"
BUILT_IN = "scenes"
"""Source of the pictures that the project makes itself."""


@dataclass(frozen=True)
class Manifest:
    """The content of a folder of raw data."""

    source: str
    """Where it came from: `scenes`, a folder or an address."""
    settings: dict
    """What the source was asked for; empty for a plain copy."""
    license: str
    """The terms of the data: a name, or the license files in the folder."""
    splits: dict[str, dict[str, int]]
    """Per split: how many pictures, and rows of each table (see `RawData.count`)."""
    files: dict[str, dict]
    """Per file, by its path in the folder: `bytes` and `sha256`."""

    @cached_property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(entry["bytes"] for entry in self.files.values())

    @property
    def version(self) -> str:
        """Identifies the data: equal for equal origins. The origin says it where it knows one."""
        return data_version(self.settings)

    def save(self, folder: str | os.PathLike) -> None:
        """Write the manifest; the folder counts as finished from then on."""
        with atomic_write(Path(folder) / NAME) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Manifest":
        """Read the manifest of `folder`.

        Raises:
            OFAError: the folder is missing, is no finished raw data, or a file is missing or has another size.
        """
        folder = Path(folder)
        try:
            manifest = cls(**json.loads((folder / NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            what = "no such folder" if not folder.is_dir() else f"no {NAME} in it"
            raise OFAError(f"{folder}: {what}; make the raw data with `ofa data fetch --out {folder}`") from None
        except (ValueError, TypeError) as error:
            raise OFAError(f"{folder / NAME}: not a manifest ({error}); fetch the data again") from None
        manifest.check(folder)
        return manifest

    def check(self, folder: str | os.PathLike) -> None:
        """Raise OFAError if a file is missing from `folder` or has another size than the manifest says."""
        for path, entry in self.files.items():
            file = Path(folder, path)
            size = file.stat().st_size if file.is_file() else None
            if size != entry["bytes"]:
                found = "is missing" if size is None else f"has {size} bytes"
                raise OFAError(f"{file}: {found}, the manifest says {entry['bytes']} bytes; fetch the data again")


def data_version(settings: Mapping[str, Any]) -> str:
    """The version in the settings of an origin: its own, or a hash of what the built-in pictures are made from."""
    if "version" in settings:
        return settings["version"]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def describe(folder: Path, paths: Iterable[str]) -> dict[str, dict]:
    """Size and SHA-256 of each file, `paths` being relative to `folder`; every core hashes."""
    names = sorted(paths)
    sizes = [(folder / name).stat().st_size for name in names]
    with ThreadPoolExecutor(os.cpu_count()) as pool, bar(sum(sizes), "Hashing files", "B") as progress:
        entries = {}
        hashes = pool.map(lambda name: sha256_file(folder / name), names)
        for name, size, sha256 in zip(names, sizes, hashes, strict=True):
            entries[name] = {"bytes": size, "sha256": sha256}
            progress.update(size)
    return entries
