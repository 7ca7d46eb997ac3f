"""Checkpoints on disk: whole or absent, checked when they are read, written while training goes on.

    checkpoints/
      step_00000500/
        model.safetensors, optimizer.safetensors, ema.safetensors   one file a part
        state.json                                                  step and everything that is no tensor
        checksums.json                                              SHA-256 of the others
      step_00001000/
      best_00000700/                                                the best weights by the validation metric

A folder is written under a temporary name, flushed, and renamed; what it replaces is removed after that, renamed first.
So a process may be killed at any moment: there is a whole checkpoint, and the best weights that it refers to. Nothing
here is pickled, so loading a checkpoint never runs code.
"""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
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
_FOLDER = re.compile(r"(step|best)_(\d{8,})")


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

        Args:
            step: its number.
            parts: tensors that nobody changes any more.
            state: what is no tensor. Where it has a "best_step", the best weights of that step are kept as long as
                this checkpoint is.
        """
        self._submit(self._save, step, parts, dict(state))

    def save_best(self, step: int, parts: Parts, state: Mapping[str, Any]) -> None:
        """Write the best weights so far, in the same way; checkpoints that are saved later refer to them."""
        self._submit(write, self._path("best", step), parts, dict(state))

    def wait(self) -> None:
        """Return when everything is on disk; raises what went wrong."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is skipped with a warning. None if there is none."""
        for step in reversed(self.steps()):
            try:
                return read(self._path("step", step))
            except OFAError as error:
                logger.warning("%s; going back to the checkpoint before it", error)
        return None

    def best(self, step: int) -> Checkpoint:
        """The best weights, saved at a step."""
        return read(self._path("best", step))

    def steps(self, kind: str = "step") -> list[int]:
        """Steps that have a checkpoint, or with kind "best" those that have best weights; ascending."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        matches = [match for match in map(_FOLDER.fullmatch, names) if match]
        return sorted(int(match[2]) for match in matches if match[1] == kind)

    def clean(self, after: int) -> None:
        """Remove what a killed run left half-written, and everything beyond the step `after`."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path)
        for kind in ("step", "best"):
            self._remove(kind, [step for step in self.steps(kind) if step > after])

    def remove_all(self) -> None:
        """Forget the run."""
        self.wait()
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _submit(self, work: Callable, *arguments: Any) -> None:
        self.wait()
        self._pending = self._writer.submit(work, *arguments)

    def _save(self, step: int, parts: Parts, state: Mapping[str, Any]) -> None:
        write(self._path("step", step), parts, state)
        steps = self.steps()
        self._remove("step", steps[: -self.keep])
        wanted = [_state(self._path("step", kept)).get("best_step") for kept in steps[-self.keep :]]
        self._remove("best", [best for best in self.steps("best") if best not in wanted])

    def _remove(self, kind: str, steps: Sequence[int]) -> None:
        for step in steps:
            path = self._path(kind, step)
            shutil.rmtree(path.rename(_temporary(path)))

    def _path(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}_{step:08d}"


def write(folder: Path, parts: Parts, state: Mapping[str, Any]) -> None:
    """Write one checkpoint folder so that it is there whole or not at all.

    Raises:
        OFAError: the disk is full or cannot be written.
    """
    ensure_space(folder, sum(t.nbytes for tensors in parts.values() for t in tensors.values()))
    temporary = _temporary(folder)
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
        return Checkpoint(parts, _state(folder))
    except (OSError, ValueError, AttributeError) as error:
        raise OFAError(f"the checkpoint {folder} is damaged: {error}") from error


def _state(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "state.json").read_text())
    except (OSError, ValueError) as error:
        raise OFAError(f"the checkpoint {folder} is damaged: {error}") from error


def _temporary(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.tmp")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
