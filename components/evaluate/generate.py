"""Predictions without truth: a table, or a folder of pictures, into one file of JSON lines."""

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from components import lineage
from components.evaluate.measure import Measure
from components.evaluate.measures import measure_for
from components.evaluate.predict import Job, Rows, predict
from ofa import tasks
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.tasks import Task
from ofa.tasks.base import ImageTask

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of the files of a folder that are read, in any case."""

TEXT_COLUMNS = {"instruction": "text", "refcoco": "text", "snli_ve": "hypothesis", "vqa": "question"}
"""The column that holds what is asked about a picture, of tasks that need a text."""

RUN = ".run.json"
"""Ending of the file beside the results that says what they were made from."""


@dataclass(frozen=True)
class Generated:
    """What a run of `generate` came to."""

    rows: int
    """Predictions in the file, for rows of this source."""
    errors: list[dict[str, Any]]
    """Rows that could not be read: uniq_id, row, and the reason as `error`."""
    new: int
    """Predictions that this run made."""
    seconds: float
    """What it took for them, the start of its processes included."""


class Pictures(Sequence):
    """The pictures below a folder as table rows, in the order of their names; an id is the path inside the folder."""

    def __init__(self, folder: str | Path, columns: Mapping[str, str]):
        """`columns` are the same in every row: what is asked, and empty ones that the task looks for.

        Raises:
            OFAError: there is no picture.
        """
        self.folder, self.columns = Path(folder), dict(columns)
        self.names = sorted(
            (Path(place) / name).relative_to(self.folder).as_posix()
            for place, _, names in os.walk(self.folder)
            for name in names
            if name.lower().endswith(PICTURES) and not name.startswith(".")
        )
        if not self.names:
            raise OFAError(f"{folder}: no pictures ({', '.join(PICTURES)}) in this folder or below it")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict[str, Any]:
        name = self.names[index]
        return {**self.columns, "uniq_id": name, "image_id": name, "image": self.folder / name}

    def locate(self, index: int) -> tuple[Path, int]:
        return self.folder, index

    def ahead(self, indices: Iterable[int]) -> None:
        """Nothing to do: the files are at hand."""


class WithoutTruth(Measure):
    """Asks for nothing but the rows' ids; rows with one id (captions of a picture) are one prediction."""

    repeats = True

    def __init__(self, task: Task):
        super().__init__(task)
        self._known = measure_for(task)

    def key(self, row: Mapping[str, Any]) -> str:
        return self._known.key(row)

    def truth(self, row: Mapping[str, str], reference: Any) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, kw_only=True)
class GenerateJob(Job):
    """A job whose rows need no truth, and may be the pictures of a folder."""

    folder: str = ""
    """Folder of pictures; instead of `table`."""
    text: str = ""
    """What is asked about every picture of the folder."""

    def open_table(self, task: Task) -> Rows:
        if not self.folder:
            return super().open_table(task)
        asked = {TEXT_COLUMNS[task.name]: self.text} if task.name in TEXT_COLUMNS else {}
        return Pictures(self.folder, {"caption": "", "objects": ""} | asked)

    def make_measure(self, task: Task) -> Measure:
        return WithoutTruth(task)


def generate(
    source: str | Sequence[str],
    task: str,
    checkpoint: str,
    out: str,
    *,
    text: str = "",
    settings: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    batch_size: int = 16,
    processes: int = 0,
    workers: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    compile: bool = False,
    seed: int = 0,
    limit: int | None = None,
    max_bad_rows: int | None = None,
) -> Generated:
    """Predict for a table or a folder of pictures, and write a line of JSON for each as it comes.

    A line holds uniq_id, image_id, row, prompt, prediction, score (log-probability), seconds; a box is
    [x0, y0, x1, y1] in pixels of its picture. A row that cannot be read is a line with its `error` instead. Started
    again after it was stopped, or after pictures were added, it predicts what is missing.

    Args:
        source: a folder of pictures, or a table of the task's kind (a file, or its shards).
        task: its name, as `ofa.tasks.get` knows it.
        checkpoint: folder of ours or `.pt` of the original.
        out: the file of JSON lines; what it was made from is kept beside it (`RUN`).
        text: question, expression or hypothesis for every picture of a folder.
        settings: changes to the task's settings.
        search: changes to the task's own search, for example {"beam": 1}, or {"sampling": True, "top_p": 0.9}.
        batch_size: rows predicted together.
        processes: predicting processes; 0 is one a GPU, or one a core where there is none.
        workers: picture-reading processes for each of them; by default a GPU gets its share of the cores.
        device: "auto", "cpu", "cuda:0" ...
        precision: "fp32", or "bf16", which is faster on most GPUs.
        compile: run the steps of the search through `torch.compile`; each process compiles first. Tasks that score
            candidates have no such steps.
        seed: of a search with sampling; a row's output depends on it and on the row's id alone.
        limit: use the first rows only.
        max_bad_rows: unreadable rows before it stops; None never stops.

    Raises:
        OFAError: the input cannot be used, or `out` was made from something else.
    """
    sources = [source] if isinstance(source, str) else list(source)
    folder = sources[0] if len(sources) == 1 and Path(sources[0]).is_dir() else ""
    _check_text(tasks.get(task), folder, text)
    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    processes = processes or {"auto": gpus or _cores(), "cpu": _cores()}.get(device, 1)
    job = GenerateJob(
        task=task,
        checkpoint=checkpoint,
        table=() if folder else tuple(sources),
        folder=folder,
        text=text,
        settings=dict(settings or {}),
        search=dict(search or {}),
        batch_size=batch_size,
        workers=(_cores() // processes if gpus else 0) if workers is None else workers,
        device=device,
        precision=precision,
        compile=compile,
        seed=seed,
        max_bad_rows=2**63 if max_bad_rows is None else max_bad_rows,
    )
    _start_or_continue(Path(out), _identity(job))
    start = time.perf_counter()
    rows, errors, new = predict(job, out, processes, limit)
    return Generated(len(rows), errors, new, time.perf_counter() - start)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _check_text(task: type[Task], folder: str, text: str) -> None:
    if folder and not issubclass(task, ImageTask):
        raise OFAError(f"{folder}: task {task.name} reads no pictures; give a table with {', '.join(task.columns)}")
    wanted = TEXT_COLUMNS.get(task.name)
    if folder and wanted and not text.strip():
        raise OFAError(f"task {task.name} needs a {wanted} about the pictures of {folder}: give it with --text")
    if text and not (folder and wanted):
        reason = f"task {task.name} takes no text" if folder else "a table has its own texts"
        raise OFAError(f"--text cannot be used here: {reason}; leave it out")


def _identity(job: GenerateJob) -> dict[str, Any]:
    """What predictions must have in common to stand in one file, as JSON keeps it."""
    task = job.make_task()
    search = job.make_search(task)
    values = {
        "task": job.task,
        "checkpoint": lineage.checkpoint_hash(job.checkpoint)[0],
        "source": str(Path(job.folder).absolute()) if job.folder else lineage.table_hash(job.table),
        "text": job.text,
        "precision": job.precision,
        "settings": dataclasses.asdict(task.settings),
        "search": dataclasses.asdict(search),
        "seed": job.seed if search.sampling else None,
    }
    return json.loads(json.dumps(values))


def _start_or_continue(out: Path, identity: Mapping[str, Any]) -> None:
    """Make `out` ready; a file that was made from something else is never touched."""
    record = out.with_name(out.name + RUN)
    if out.exists():
        advice = f"name another file, or remove {out} to start anew"
        try:
            known = json.loads(record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OFAError(f"{out}: exists and is no file of predictions ({record} is missing); {advice}") from None
        changed = [name for name, value in identity.items() if known.get(name) != value]
        if changed:
            raise OFAError(f"{out}: was made with another {', '.join(changed)}; {advice}")
        return
    with atomic_write(record) as file:
        json.dump(identity, file, indent=2)
        file.write("\n")
