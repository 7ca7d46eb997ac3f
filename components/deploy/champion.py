"""The champion's evaluations on the challenger's data: kept ones where the data are the same, else made anew."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.deploy.bundle import EVALUATIONS, load_bundle
from components.deploy.registry import CHAMPION, Registry
from components.evaluate.evaluate import evaluate
from components.evaluate.record import Evaluation, find, load


@dataclass(frozen=True)
class Champion:
    """The champion, ready to be compared with."""

    version: str
    folder: str
    """Its evaluations, a folder a task."""
    lacks: frozenset[str]
    """Tasks of the challenger that it does not do."""


def fetch_champion(
    store: Registry, challenger: str | Sequence[str], work: str, batch_size: int = 16
) -> Champion | None:
    """Get the champion's evaluations; None when there is no champion.

    Args:
        store: the registry.
        challenger: folder of the challenger's evaluations, a folder a task, or those folders.
        work: folder for what is fetched.
        batch_size: rows predicted together where the champion is evaluated again.

    Raises:
        OFAError: the champion cannot be evaluated on the challenger's table.
        RegistryDown: the registry does not answer.
    """
    version = store.alias(CHAMPION)
    if version is None:
        return None
    folder = Path(work)
    evaluations = store.download(version.number, EVALUATIONS, folder / EVALUATIONS)
    ours = {task: load(path) for task, path in find(challenger).items()}
    theirs = {task: load(path) for task, path in find(evaluations).items()}
    stale = [task for task in ours if task in theirs and _data(ours[task]) != _data(theirs[task])]
    if stale:
        release = store.download(version.number, ".", folder / "bundle")
        for task in stale:
            shutil.rmtree(evaluations / task)
            evaluate(
                task,
                str(release / task),
                ours[task].lineage.table,
                str(evaluations / task),
                search=load_bundle(release).tasks[task].search,
                batch_size=batch_size,
                # The challenger may have been asked for the first rows only.
                limit=ours[task].rows + ours[task].bad_rows,
                max_bad_rows=ours[task].bad_rows,
                params=None,
            )
    return Champion(version.number, str(evaluations), frozenset(ours) - frozenset(theirs))


def _data(evaluation: Evaluation) -> tuple[str, int]:
    return evaluation.lineage.table_sha256, evaluation.rows
