"""The files of a checkpoint: `torch.distributed.checkpoint` with a safetensors file a rank and a checksum of each.

Every rank writes what it holds, so that a sharded network is never gathered, and reads what it needs of what others,
maybe another number of them, have written. DCP's own file format keeps its index in a pickle, and reading a pickle
runs code; so do its objects that are no tensors. Here the place of each part stands in the header of its safetensors
file, where DCP's reader of such files looks for it, and what is no tensor is JSON.
"""

import concurrent.futures
import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from ofa.files import ensure_space, sha256_file, sync
from ofa.train.distributed import World

STATE, CHECKSUMS = "state.json", "checksums.json"
_PLACES = "DCP_SHARDING_INFO"
"""Where `HuggingFaceStorageReader` looks for the offsets of a file's tensors in the whole ones."""

# For one process this is what is meant.
warnings.filterwarnings("ignore", "torch.distributed is disabled, unavailable or uninitialized", UserWarning)


class _Planner(DefaultSavePlanner):
    """Plans the tensors of {"tensors": tensors}: DCP looks at, and logs, every entry of what it is given, twice."""

    def __init__(self) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)

    def set_up_planner(
        self, state_dict: dict[str, Any], storage_meta: StorageMeta | None = None, is_coordinator: bool = False
    ) -> None:
        super().set_up_planner(state_dict["tensors"], storage_meta, is_coordinator)


class FolderWriter(StorageWriter):
    """Writes one checkpoint folder, which is there whole or not at all.

    Its files are written to a folder beside it, flushed, and the folder is renamed when those of all ranks are there.

    Args:
        folder: what is to appear.
        state: what is no tensor, as JSON.
        done: called on rank 0 when the folder is there, if given.
    """

    def __init__(self, folder: Path, state: str, done: Callable[[], None] | None):
        super().__init__()
        self.folder, self.state, self.done = folder, state, done
        self.temporary = temporary(folder)

    def reset(self, checkpoint_id: str | os.PathLike | None = None) -> None:
        """There is nothing to forget: a writer writes once."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """All is set up."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """A rank's part, as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Rank 0 makes the folder and gives each rank the name of its file."""
        ensure_space(self.folder, sum(item.tensor_storage_size() or 0 for plan in plans for item in plan.items))
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        return [replace(plan, storage_data=f"rank_{rank:05d}.safetensors") for rank, plan in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write a rank's file; the result is its name, size and checksum."""
        results = []
        if plan.items:
            # A header's entries may come in any order, so that only the file as a whole has a checksum.
            tensors = {item.index.fqn: planner.resolve_data(item).contiguous() for item in plan.items}
            places = {item.index.fqn: {"saved_offsets": list(item.tensor_data.chunk.offsets)} for item in plan.items}
            path = self.temporary / plan.storage_data
            save_file(tensors, path, metadata={_PLACES: json.dumps(places), "format": "pt"})
            sync(path)
            results = [WriteResult(MetadataIndex(path.name), path.stat().st_size, sha256_file(path))]
        future: Future[list[WriteResult]] = Future()
        future.set_result(results)
        return future

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Rank 0 adds the state and the checksums, and the checkpoint appears."""
        state = self.temporary / STATE
        state.write_text(self.state)
        sums = {result.index.fqn: result.storage_data for rank in results for result in rank}
        sums[STATE] = sha256_file(state)
        (self.temporary / CHECKSUMS).write_text(json.dumps(sums, indent=1))
        for path in (state, self.temporary / CHECKSUMS, self.temporary):
            sync(path)
        replaced = temporary(self.folder.with_name(f"{self.folder.name}.old"))
        if self.folder.exists():
            self.folder.rename(replaced)
        self.temporary.rename(self.folder)
        sync(self.folder.parent)
        shutil.rmtree(replaced, ignore_errors=True)
        if self.done is not None:
            self.done()

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike) -> bool:
        """Of use only where DCP has to choose a writer."""
        return True


def save(writer: FolderWriter, tensors: Mapping[str, Tensor], world: World) -> concurrent.futures.Future:
    """Write tensors by name, sharded or not, in the background; they are copied before this returns.

    Of what is not sharded rank 0's is written. Every rank must call this.

    Returns:
        A future: done when the checkpoint is there, on every rank.
    """
    own = {name: tensor for name, tensor in tensors.items() if world.is_main or hasattr(tensor, "placements")}
    return dcp.async_save({"tensors": own}, storage_writer=writer, planner=_Planner(), process_group=world.background)


def load(folder: Path, tensors: Mapping[str, Tensor], world: World) -> None:
    """Overwrite tensors by name, sharded or not, with what a checkpoint holds. Every rank must call this."""
    planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    reader = dcp.HuggingFaceStorageReader(str(folder))
    dcp.load(dict(tensors), storage_reader=reader, planner=planner, process_group=world.control)


def damage(folder: Path, share: slice) -> str:
    """What is wrong with a share of the files of a checkpoint, in words; "" if nothing is."""
    try:
        sums = json.loads((folder / CHECKSUMS).read_text())
        for name in sorted(sums)[share]:
            if sha256_file(folder / name) != sums[name]:
                return f"{name} differs from its checksum"
    except (OSError, ValueError, TypeError) as error:
        return str(error)
    return ""


def temporary(folder: Path) -> Path:
    """Where a folder is written before it is whole."""
    return folder.with_name(f".{folder.name}.tmp")
