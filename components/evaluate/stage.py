"""The evaluation stage: a trained network on a split of the tables, with the settings of params.yaml."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.evaluate.evaluate import evaluate
from components.evaluate.judges import Judges
from components.evaluate.record import Evaluation
from components.params import section
from components.tables import table_files
from ofa import tasks
from ofa.errors import OFAError
from ofa.settings import build
from ofa.tasks.store import settings_of


@dataclass(frozen=True, kw_only=True)
class EvaluateSection:
    """Section `evaluate` of params.yaml; each field is the argument of `evaluate` with the same name."""

    batch_size: int = 16
    """Rows predicted together."""
    processes: int = 1
    """Processes that predict side by side."""
    workers: int = 0
    """Processes that read pictures for each of them."""
    device: str = "auto"
    """auto: a GPU if there is one; or cpu, cuda:0 ..."""
    limit: int | None = None
    """Evaluate the first rows only; None for all."""
    max_bad_rows: int = 0
    """Unreadable rows that are left out before the evaluation stops."""
    skip: tuple[str, ...] = ()
    """Metrics to leave out, for example [METEOR]."""
    latency_samples: int = 20
    """Samples that are timed alone."""
    resamples: int = 10_000
    """Of the bootstrap of the confidence interval."""
    seed: int = 0
    """Of the bootstrap."""
    judges: Judges = Judges()
    """What painted pictures are judged with."""
    search: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changes to the search by task, for example {caption: {beam: 1}}; by default the original's."""

    def __post_init__(self):
        for name in self.search:
            tasks.get(name)


def evaluate_stage(
    task: str,
    checkpoint: str = "",
    tables: str = "data/tables",
    split: str = "test",
    out: str = "",
    metrics: str = "",
    objects: str = "",
    params: str = "params.yaml",
    settings: Mapping[str, Any] | None = None,
    name: str = "",
    **changes: Any,
) -> Evaluation:
    """Evaluate a network on the table of its task and language, beside baselines from the training table.

    Args:
        task: its name.
        checkpoint: the network; empty: models/TASK.
        tables: folder of tables, as `ofa data build` makes it.
        split: which split to evaluate.
        out: folder of the evaluation; empty: evaluations/SPLIT/TASK.
        metrics: file for the bare numbers; empty for none.
        objects: COCO instances file or detection table for the baseline of a random object; empty: the table
            detection_SPLIT.tsv if it is there.
        params: file with the section `evaluate`; empty: its defaults.
        settings: changes to the task's settings.
        name: the tables are NAME_SPLIT.tsv and NAME_train.tsv; empty: those of the task's kind and language.
        changes: fields of the section that go before its own.

    Raises:
        OFAError: a table, the checkpoint or a setting cannot be used.
    """
    base = section(params, "evaluate", EvaluateSection) if params else EvaluateSection()
    chosen = dataclasses.asdict(build(EvaluateSection, dataclasses.asdict(base) | changes, "evaluate"))
    search = chosen.pop("search").get(task)
    judges = Judges(**chosen.pop("judges"))
    checkpoint = checkpoint or f"models/{tasks.get(task).name}"
    instance = tasks.create(task, settings_of(checkpoint, task) | dict(settings or {}))
    names = [name] if name else instance.table_names
    return evaluate(
        task,
        checkpoint,
        [str(path) for path in table_files(tables, names, split)],
        out or f"evaluations/{split}/{instance.name}",
        settings=settings,
        search=search,
        train_table=_existing(tables, names, "train"),
        objects=objects or next(iter(_existing(tables, ["detection"], split) or ()), None),
        metrics=metrics or None,
        params=params or None,
        judges=judges,
        **chosen,
    )


def _existing(tables: str, names: Sequence[str], split: str) -> list[str] | None:
    try:
        return [str(path) for path in table_files(tables, names, split)]
    except OFAError:
        return None
