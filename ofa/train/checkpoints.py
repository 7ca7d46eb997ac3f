"""Checkpoints on disk: whole or absent, checked when they are read, written while training goes on.

    checkpoints/
      step_00000500/
        rank_00000.safetensors ...     what each rank holds of weights, optimizer and average
        state.json                     step and everything that is no tensor
        checksums.json                 SHA-256 of the others
      step_00001000/
      best_00000700/                   the best weights by the validation metric

A folder is written under a temporary name, flushed, and renamed; what it replaces is removed after that, renamed first.
So a process may be killed at any moment: there is a whole checkpoint, and the best weights that it refers to. Nothing
here is pickled, so loading a checkpoint never runs code.
"""

import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException

from ofa.errors import OFAError
from ofa.train import storage
from ofa.train.distributed import World

logger = logging.getLogger(__name__)

_FOLDER = re.compile(r"(step|best)_(\d{8,})")


class Checkpoints:
    """The checkpoints of one run, in a folder that all ranks see. Where not said otherwise, all ranks call a method.

    Args:
        folder: made if it is missing.
        keep: number of latest steps that stay; older ones are removed after a new one is whole.
        world: this process among the others.
    """

    def __init__(self, folder: str | Path, keep: int, world: World):
        self.folder, self.keep, self.world = Path(folder), keep, world
        self._pending: Future | None = None
        self._writing = self.folder

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write the checkpoint of a step in the background; waits for the one before it.

        Args:
            step: its number.
            tensors: by name, sharded or not; rank 0's count where they are not. They are copied before this returns.
            state: what is no tensor. Where it has a "best_step", the best weights of that step are kept as long as
                this checkpoint is.
        """
        self._save("step", step, tensors, state)

    def save_best(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write the best weights so far, in the same way; checkpoints that are saved later refer to them."""
        self._save("best", step, tensors, state)

    def wait(self) -> None:
        """Return when everything is on disk.

        Raises:
            OFAError: it cannot be written.
        """
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            pending.result()
        except (CheckpointException, RuntimeError) as error:
            if self.world.is_main:
                shutil.rmtree(storage.temporary(self._writing), ignore_errors=True)
            raise OFAError(
                f"cannot write the checkpoint {self._writing}: {_reasons(error)}; look at its disk (is there space?) "
                "and start again to go on after the last checkpoint"
            ) from error

    def latest(self) -> tuple[int, dict[str, Any]] | None:
        """Step and state of the newest checkpoint that is whole; damaged ones are skipped with a warning."""
        for step in reversed(self.world.from_main(self.steps())):
            try:
                self._check("step", step)
                return step, self.world.from_main(self._state(step) if self.world.is_main else None)
            except OFAError as error:
                if self.world.is_main:
                    logger.warning("%s; going back to the checkpoint before it", error)
        return None

    def load(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Overwrite tensors, sharded or not, with those of the checkpoint of a step that `latest` found.

        Raises:
            OFAError: they are not those that were saved.
        """
        self._load("step", step, tensors)

    def load_best(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """The same with the best weights, saved at a step.

        Raises:
            OFAError: they are damaged.
        """
        self._check("best", step)
        self._load("best", step, tensors)

    def steps(self, kind: str = "step") -> list[int]:
        """Steps that have a checkpoint, or with kind "best" those that have best weights; ascending. For one rank."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        matches = [match for match in map(_FOLDER.fullmatch, names) if match]
        return sorted(int(match[2]) for match in matches if match[1] == kind)

    def clean(self, after: int) -> None:
        """Remove checkpoints beyond the step `after`, and what a killed run left that none refers to. For one rank."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path)
        self._keep([step for step in self.steps() if step <= after])

    def remove_all(self) -> None:
        """Forget the run. For one rank."""
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _save(self, kind: str, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        self.wait()
        self._writing = self._path(kind, step)
        done = self._prune if kind == "step" else None
        writer = storage.FolderWriter(self._writing, json.dumps(state, indent=1), done)
        self._pending = storage.save(writer, tensors, self.world)

    def _prune(self) -> None:
        self._keep(self.steps()[-self.keep :])

    def _keep(self, steps: Sequence[int]) -> None:
        """Remove all other checkpoints, and the best weights that these do not refer to."""
        wanted = {"step": set(steps), "best": {self._state(step).get("best_step") for step in steps}}
        for kind, kept in wanted.items():
            for step in set(self.steps(kind)) - kept:
                path = self._path(kind, step)
                shutil.rmtree(path.rename(storage.temporary(path)))

    def _load(self, kind: str, step: int, tensors: Mapping[str, Tensor]) -> None:
        path = self._path(kind, step)
        try:
            storage.load(path, tensors, self.world)
        except CheckpointException as error:
            raise OFAError(f"cannot read the checkpoint {path}: {_reasons(error)}") from error

    def _check(self, kind: str, step: int) -> None:
        """Every rank compares its share of the files with their checksums."""
        path = self._path(kind, step)
        found = self.world.from_all([storage.damage(path, slice(self.world.rank, None, self.world.size))])
        if problem := next(filter(None, found), ""):
            raise OFAError(f"the checkpoint {path} is damaged: {problem}")

    def _state(self, step: int) -> dict[str, Any]:
        """That of a checkpoint; empty if it cannot be read, which `latest` tells of."""
        try:
            return json.loads((self._path("step", step) / storage.STATE).read_text())
        except (OSError, ValueError):
            return {}

    def _path(self, kind: str, step: int) -> Path:
        return self.folder / f"{kind}_{step:08d}"


def _reasons(error: Exception) -> str:
    """What went wrong on which ranks."""
    failures = getattr(error, "failures", {0: (error, None)})
    return "; ".join(f"rank {rank}: {reason}" for rank, (reason, _) in failures.items())
