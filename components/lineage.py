"""Where numbers come from: hashes of checkpoint, data and parameters, the commit, the versions."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ofa.checkpoint import huggingface
from ofa.checkpoint.folder import CONFIG, WEIGHTS
from ofa.data.remote import RemoteFile, cached, files_like, is_address, local_file, locked
from ofa.errors import OFAError
from ofa.files import atomic_write, sha256_file
from ofa.settings import load_yaml

PACKAGES = ("ofa", "torch", "torchvision", "numpy", "pillow", "pycocoevalcap")
"""Packages whose versions are recorded."""

ORIGIN = "origin.json"
"""In a network's folder: what it was trained from. The same training writes the same, on every machine."""

_BLOCK = 1 << 20


def checkpoint_hash(path: str | Path) -> tuple[str, int]:
    """SHA-256 and size in bytes of a checkpoint.

    A file's hash is that of its content. A folder's is that of the hashes and names of its configuration and weights:
    a model card or the state of a training tell of a network, they are no part of it.

    Raises:
        OFAError: there is no checkpoint.
    """
    path = Path(path)
    if path.is_file():
        return sha256_file(path), path.stat().st_size
    weights = next((path / name for name in (WEIGHTS, huggingface.WEIGHTS) if (path / name).is_file()), None)
    if weights is None or not (path / CONFIG).is_file():
        raise OFAError(f"{path}: no checkpoint there; give a .pt file, or a folder with {CONFIG} and {WEIGHTS}")
    files = [path / CONFIG, weights]
    lines = [f"{sha256_file(file)}  {file.name}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest(), sum(file.stat().st_size for file in files)


def training_origin(stage: str, settings: Mapping[str, Any], parent: str | Path = "") -> dict[str, str]:
    """What a training makes its network from, besides its tables: settings as JSON values, and the network that it
    starts from, if there is one."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    found = {"stage": stage, "settings_sha256": digest}
    if parent and Path(parent).exists():
        found |= {"parent": str(parent), "parent_sha256": checkpoint_hash(parent)[0]}
    return found


def read_origin(checkpoint: str | Path) -> dict[str, str]:
    """What `training_origin` found, as it stands in the checkpoint's folder; empty where it does not."""
    path = Path(checkpoint) / ORIGIN
    return load_yaml(path) if path.is_file() else {}


def table_hash(paths: Sequence[str | Path]) -> str:
    """SHA-256 of a table: of its files' content one after the other, so shards and the whole have the same.

    Remote files are read for it once; after that their version tells.
    """
    if not paths or not all(map(is_address, paths)):
        return _digest(map(_blocks, paths))
    files = [RemoteFile(str(path)) for path in paths]
    known = cached(files, "tables").with_suffix(".sha256")
    with locked(known):
        if not known.exists():
            with atomic_write(known) as file:
                file.write(_digest(remote.blocks() for remote in files))
        return known.read_text(encoding="utf-8")


def _digest(files: Iterable[Iterable[bytes]]) -> str:
    digest = hashlib.sha256()
    for blocks in files:
        for block in blocks:
            digest.update(block)
    return digest.hexdigest()


def _blocks(path: str | Path) -> Iterator[bytes]:
    if is_address(path):
        yield from RemoteFile(str(path)).blocks()
        return
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise OFAError(f"cannot read the table {path}: {error.strerror}") from error


def data_origin(table: str | Path) -> dict[str, Any]:
    """Source, version and commit of the data that a table was built from, as its folder says; else empty."""
    folder = str(table).rpartition("/")[0] if is_address(table) else Path(table).parent
    found = files_like(folder, "statistics.json")
    return load_yaml(local_file(found[0])).get("data") or {} if found else {}


def dvc_hash(path: str | Path, lock: str | Path = "dvc.lock") -> str | None:
    """The hash of a pipeline's output, as dvc.lock has it: of the file itself or of the folder that holds it."""
    if not Path(lock).is_file():
        return None
    stages = (load_yaml(lock).get("stages") or {}).values()
    known = {Path(out["path"]): out.get("md5") for stage in stages for out in stage.get("outs") or []}
    return next((known[place] for place in (Path(path), *Path(path).parents) if place in known), None)


def params_hash(path: str | Path | None) -> str | None:
    """SHA-256 of what a params file says (not of how it is written); None for no file."""
    if path is None or not Path(path).exists():
        return None
    return hashlib.sha256(json.dumps(load_yaml(path), sort_keys=True, default=str).encode()).hexdigest()


def git_commit(folder: str | Path = ".") -> str | None:
    """Commit checked out in `folder`, "-dirty" appended when Python files differ from it. Outside a repository the one
    that the container's image was built from, as it says in OFA_REVISION; else None.

    Other files do not count: a pipeline rewrites its metrics as it runs, and parameters have a hash of their own.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if not commit:
        return os.environ.get("OFA_REVISION")
    return f"{commit}-dirty" if git("status", "--porcelain", "--untracked-files=no", "--", "*.py") else commit


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Installed versions; packages that are not installed are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
