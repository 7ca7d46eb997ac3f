"""Checkpoints on disk: whole or absent, checked when they are read, written while training goes on.

    checkpoints/
      step_00000500/
        model.safetensors, optimizer.safetensors, ema.safetensors   one file a part
        state.json                                                  step and everything that is no tensor
        checksums.json                                              SHA-256 of the others
      step_00001000/
      best/                                                         the best weights by the validation metric

A folder is written under a temporary name, flushed, and renamed. Nothing here is pickled, so loading a checkpoint
never runs code.
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ofa.data.files import ensure_space, sha256_file
from ofa.errors import OFAError

logger = logging.getLogger(__name__)

Parts = Mapping[str, Mapping[str, Tensor]]
BEST = "best"
_STEP = re.compile(r"step_(\d{8,})")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint in memory."""

    parts: dict[str, dict[str, Tensor]]
    """Tensors by part ("model", "optimizer", "ema") and name, on the CPU."""
    state: dict[str, Any]
    """What is no tensor."""


class Checkpoints:
    """The checkpoints of one run; used by rank 0 to write and by every rank to read.

    Args:
        folder: made if it is missing.
        keep: number of latest steps that stay; older ones are removed after a new one is whole.
    """

    def __init__(self, folder: str | Path, keep: int):
        self.folder, self.keep = Path(folder), keep
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future | None = None

    def save(self, step: int, parts: Parts, state: Mapping[str, Any]) -> None:
        """Write the checkpoint of a step in the background; waits for the one before it.

        The tensors are copied before this returns, so they may change at once.
        """
        self._submit(_step_name(step), parts, state)

    def save_best(self, parts: Parts, state: Mapping[str, Any]) -> None:
        """Replace the best weights."""
        self._submit(BEST, parts, state)

    def wait(self) -> None:
        """Return when everything is on disk; raises what went wrong."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is skipped with a warning. None if there is none."""
        for step in reversed(self.steps()):
            try:
                return read(self.folder / _step_name(step))
            except OFAError as error:
                logger.warning("%s; going back to the checkpoint before it", error)
        return None

    def at(self, step: int) -> Checkpoint:
        """The checkpoint of a step."""
        return read(self.folder / _step_name(step))

    def best(self) -> Checkpoint | None:
        """The best weights, or None if none were saved."""
        return read(self.folder / BEST) if (self.folder / BEST).is_dir() else None

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(match[1]) for match in map(_STEP.fullmatch, names) if match)

    def clean(self, after: int | None = None) -> None:
        """Remove what a killed run left half-written, and the checkpoints beyond the step `after`."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path)
        for step in self.steps():
            if after is not None and step > after:
                shutil.rmtree(self.folder / _step_name(step))

    def remove_all(self) -> None:
        """Forget the run."""
        self.wait()
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _submit(self, name: str, parts: Parts, state: Mapping[str, Any]) -> None:
        self.wait()
        copies = {part: {k: _snapshot(v) for k, v in tensors.items()} for part, tensors in parts.items()}
        self._pending = self._writer.submit(self._write, name, copies, dict(state))

    def _write(self, name: str, parts: Parts, state: Mapping[str, Any]) -> None:
        write(self.folder / name, parts, state)
        for step in self.steps()[: -self.keep]:
            shutil.rmtree(self.folder / _step_name(step))


def write(folder: Path, parts: Parts, state: Mapping[str, Any]) -> None:
    """Write one checkpoint folder so that it is there whole or not at all.

    Raises:
        OFAError: the disk is full or cannot be written.
    """
    ensure_space(folder, sum(t.nbytes for tensors in parts.values() for t in tensors.values()))
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for part, tensors in parts.items():
            save_file(dict(tensors), temporary / f"{part}.safetensors")
        (temporary / "state.json").write_text(json.dumps(state, indent=1))
        sums = {path.name: sha256_file(path) for path in sorted(temporary.iterdir())}
        (temporary / "checksums.json").write_text(json.dumps(sums, indent=1))
        for path in temporary.iterdir():
            _flush(path)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        _flush(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise OFAError(f"cannot write the checkpoint {folder}: {error}; free some space and start again") from error


def read(folder: Path) -> Checkpoint:
    """Read one checkpoint folder.

    Raises:
        OFAError: a file is missing or differs from its checksum.
    """
    try:
        sums = json.loads((folder / "checksums.json").read_text())
        for name, expected in sums.items():
            if sha256_file(folder / name) != expected:
                raise OFAError(f"the checkpoint {folder} is damaged: {name} differs from its checksum")
        parts = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
        return Checkpoint(parts, json.loads((folder / "state.json").read_text()))
    except (OSError, ValueError, AttributeError) as error:
        raise OFAError(f"the checkpoint {folder} is damaged: {error}") from error


def _snapshot(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _step_name(step: int) -> str:
    return f"step_{step:08d}"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
