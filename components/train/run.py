"""What the training steps share: identity of a run, MLflow, and delivery of the result."""

import dataclasses
import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.code import STEPS
from components.folders import make_staging, replace_folder
from components.lineage import ORIGIN, git_commit, table_hash, training_origin
from components.train.curves import plot_curves
from components.train.tracking import tracking
from ofa.checkpoint import save_folder
from ofa.checkpoint.vqgan import FOLDER
from ofa.data import Table
from ofa.data.lengths import text_lengths
from ofa.data.mixing import Source, Stream
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.model import OFAModel
from ofa.tasks import Task
from ofa.tasks.store import save_tasks
from ofa.train.config import TrainConfig
from ofa.train.distributed import World
from ofa.train.loop import Callback, TrainResult, Validate, train
from ofa.train.losses import Objective


@contextmanager
def running(
    stage: str,
    config: TrainConfig,
    work: str | Path,
    settings: Mapping[str, Any],
    tables: Mapping[str, Table],
    step: str,
    tasks: Sequence[Task] = (),
) -> Iterator[dict[str, Any]]:
    """What every call of `ofa.train.loop.train` gets: this process's place among the others, MLflow's callback, and
    what the run is made from. A run in `work` that was made from other data, settings or code is replaced.

    `step` is the key of `components.code.STEPS` whose code, with that of `tasks`, makes the run.

    Raises:
        OFAError: another process trains in `work`.
    """
    world = World.connect(config.device, config.timeout)
    hashes = {name: table_hash(table.paths) for name, table in tables.items()} if world.is_main else {}
    identity = {
        "stage": stage,
        "tables": world.from_main(hashes),
        "settings": _plain(settings),
        "code": STEPS[step].hash(*(type(task).__module__ for task in tasks)),
    }
    common = {"world": world, "identity": identity, "restart": True, "callbacks": []}
    if not world.is_main:
        yield common
        return
    logged = {"train": config, **settings, "git_commit": git_commit() or "unknown"}
    with _alone(Path(work)), tracking(stage, logged, Path(work)) as tracker:
        yield common | {"callbacks": [tracker]}
        if curves := plot_curves(work, stage):
            tracker.file(curves)


def fit(
    stage: str,
    net: OFAModel,
    sources: Sequence[Source],
    config: TrainConfig,
    work: str | Path,
    settings: Mapping[str, Any],
    *,
    step: str,
    workers: int = 0,
    max_bad_rows: int = 0,
    pool: int = 0,
    validate: Validate | None = None,
    objective: Objective | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainResult:
    """Train on a mixture of tables, or go on where an interrupted run in `work` stopped; `step` as in `running`, `pool`
    as in `Stream`."""
    groups = len({source.group for source in sources})
    tables = {source.key: source.table for source in sources}
    tasks = [source.task for source in sources]
    with running(stage, config, work, settings, tables, step, tasks) as common:
        world = common["world"]
        if pool:
            sources = [dataclasses.replace(source, lengths=text_lengths(source.table)) for source in sources]
        stream = Stream(
            sources,
            config.batch_size * groups // config.accumulate,
            seed=config.seed,
            rank=world.rank,
            world=world.size,
            workers=workers,
            max_bad_rows=max_bad_rows,
            pin=world.device.type == "cuda",
            pool=pool,
        )
        common["callbacks"] += callbacks
        return train(net, stream, config, work, validate=validate, objective=objective, **common)


def origin_of(stage: str, config: TrainConfig, parent: str = "", **settings: Any) -> dict[str, str]:
    """What a training makes its network from: sections of settings, and a network to start from."""
    return training_origin(stage, _plain({"train": config, **settings}), parent)


def deliver(
    net: OFAModel,
    out: str | Path,
    tasks: Mapping[str, Task],
    card: Mapping[str, Any],
    origin: Mapping[str, str] | None = None,
    vqgan: Path | None = None,
) -> None:
    """Write a trained network with its tasks' settings as the folder `out`; it appears whole or not at all.

    `origin` is what `origin_of` tells of the training, `vqgan` the folder of the VQ-GAN that made the codes of its
    tables. Of several processes the main one writes:
    every rank holds the same weights.
    """
    if not World.connect(next(net.parameters()).device.type).is_main:
        return
    out = Path(out)
    staging = make_staging(out)
    save_folder(staging, net, dict(card))
    save_tasks(staging, tasks)
    if origin is not None:
        with atomic_write(staging / ORIGIN) as file:
            json.dump(origin, file, indent=2)
    if vqgan is not None:
        shutil.copytree(vqgan, staging / FOLDER)
    replace_folder(staging, out)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep other processes from training in `work`: what stopped one may have left its training behind, at work."""
    work.mkdir(parents=True, exist_ok=True)
    with open(work / ".lock", "w", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock, not handed on to forked workers
        except OSError:
            raise OFAError(
                f"{work}: another process is training there; wait for it or stop it, then start again"
            ) from None
        yield


def _plain(value: Any) -> Any:
    """Settings as JSON holds them, so that they compare equal after being read back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
