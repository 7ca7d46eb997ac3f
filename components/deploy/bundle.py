"""A bundle: everything that one release of the model consists of, in one folder.

```
bundle.json              what is inside, and where it comes from
<task>/                  a checkpoint folder for each task
evaluations/<task>/      the evaluation that the release was judged by, row by row
```
"""

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.evaluate.record import PREDICTIONS, RECORD, Evaluation, find, load, load_json
from components.folders import make_staging, replace_folder
from components.lineage import ORIGIN, checkpoint_hash
from ofa import checkpoint
from ofa.checkpoint import save_folder
from ofa.checkpoint.folder import CARD, CONFIG, TOKENIZER, WEIGHTS
from ofa.checkpoint.vqgan import FOLDER
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.settings import build
from ofa.tasks import create
from ofa.tasks.answers import read_answers
from ofa.tasks.store import save_tasks

BUNDLE, EVALUATIONS = "bundle.json", "evaluations"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One task of a bundle."""

    checkpoint_sha256: str
    """Of the checkpoint that was evaluated."""
    table_sha256: str
    """Of the evaluation data."""
    metric: str
    score: float
    interval: tuple[float, float]
    """95 % confidence interval of the score."""
    search: dict[str, Any]
    """Search settings of the evaluation; the release answers with the same."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The content of bundle.json."""

    tasks: dict[str, Member]
    git_commit: str | None
    """Commit of the code that evaluated."""
    params_sha256: str | None

    @property
    def sha256(self) -> str:
        """Identifies the release: the same checkpoints with the same evaluation data are the same release."""
        parts = [f"{name} {m.checkpoint_sha256} {m.table_sha256}\n" for name, m in sorted(self.tasks.items())]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


def bundle(evaluations: str | Sequence[str], out: str, checkpoints: Sequence[str] = ()) -> Bundle:
    """Collect the evaluated checkpoints and their evaluations in a new folder `out`.

    Args:
        evaluations: folder with an evaluation folder a task, or those folders; each names its checkpoint.
        out: the bundle; one that is there already is replaced when the new one is whole.
        checkpoints: where the checkpoints are, if not where they were evaluated; known by their hashes.

    Raises:
        OFAError: a checkpoint is missing or changed after it was evaluated, or `out` is something else than a bundle.
    """
    target = Path(out)
    if target.exists() and not (target / BUNDLE).is_file():
        raise OFAError(f"{out}: exists and is no bundle; name another folder or remove it")
    found = {task: (folder, load(folder)) for task, folder in find(evaluations).items()}
    staging = make_staging(target)
    places = {checkpoint_hash(path)[0]: Path(path) for path in checkpoints}
    members = {}
    for task, (folder, evaluation) in found.items():
        _checkpoint(evaluation, places, staging / task)
        (staging / EVALUATIONS / task).mkdir(parents=True)
        for name in (RECORD, PREDICTIONS):
            shutil.copyfile(folder / name, staging / EVALUATIONS / task / name)
        members[task] = Member(
            checkpoint_sha256=evaluation.lineage.checkpoint_sha256,
            table_sha256=evaluation.lineage.table_sha256,
            metric=evaluation.metric,
            score=evaluation.score,
            interval=evaluation.interval,
            search=evaluation.lineage.search,
        )
    first = next(iter(found.values()))[1].lineage
    content = Bundle(tasks=members, git_commit=first.git_commit, params_sha256=first.params_sha256)
    with atomic_write(staging / BUNDLE) as file:
        json.dump(dataclasses.asdict(content), file, indent=2)
        file.write("\n")
    replace_folder(staging, target)
    return content


def load_bundle(folder: str | Path) -> Bundle:
    """The description of the bundle in `folder`.

    Raises:
        OFAError: there is none.
    """
    path = Path(folder) / BUNDLE
    values = load_json(path, "a bundle, as `ofa bundle` makes it")
    tasks = values.get("tasks")
    if not isinstance(tasks, dict):
        raise OFAError(f"{path}: no tasks; make the bundle again")
    members = {task: build(Member, member, f"{path}: tasks.{task}") for task, member in tasks.items()}
    return build(Bundle, values | {"tasks": members}, str(path))


def _checkpoint(evaluation: Evaluation, places: Mapping[str, Path], out: Path) -> None:
    """Put the evaluated network, with the settings of its task, into `out`."""
    origin = evaluation.lineage
    source = places.get(origin.checkpoint_sha256, Path(origin.checkpoint))
    if checkpoint_hash(source)[0] != origin.checkpoint_sha256:
        raise OFAError(
            f"{source}: the checkpoint changed after it was evaluated for {evaluation.task}; evaluate it again"
        )
    if (source / WEIGHTS).is_file():
        for name in (CONFIG, WEIGHTS, TOKENIZER, CARD, ORIGIN):
            if (source / name).is_file():
                _link(source / name, out / name)
        for file in sorted((source / FOLDER).glob("*")):  # what painting needs
            _link(file, out / FOLDER / file.name)
    else:  # the original's or the port's: a release has our format
        save_folder(out, checkpoint.load(source))
    task = create(evaluation.task, origin.settings)
    if getattr(task.settings, "answers_file", None):  # a file elsewhere would be missing where the bundle goes
        answers = read_answers(task.settings.answers_file)
        task = create(evaluation.task, dataclasses.replace(task.settings, answers=answers, answers_file=None))
    save_tasks(out, {evaluation.task: task})


def _link(source: Path, target: Path) -> None:
    """The file under a second name where the disk allows it, else a copy: checkpoints are large and never edited."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
