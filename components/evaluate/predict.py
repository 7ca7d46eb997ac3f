"""Predictions of a checkpoint on a table, written as they come; a run that was killed goes on where it stopped."""

import json
import os
import queue
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from components.evaluate.measures import Measure, measure_for, plain
from components.evaluate.record import PREDICTIONS, read_lines
from ofa import tasks
from ofa.data import Table
from ofa.data.batch import PAD, Batch, Sample, collate
from ofa.data.files import atomic_write
from ofa.data.mixing import Source
from ofa.data.ordered import Ordered
from ofa.data.schema import TABLES
from ofa.data.table import RowError
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.progress import bar
from ofa.settings import build
from ofa.tasks import Prediction, Task
from ofa.tasks.store import saved_settings


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to predict with what; small and copied to every process."""

    task: str
    checkpoint: str
    table: tuple[str, ...]
    """The files of the table."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the task's settings."""
    search: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the task's own search."""
    batch_size: int = 16
    workers: int = 0
    """Processes that read and resize pictures for each predicting process."""
    device: str = "auto"
    """auto: a GPU if there is one."""
    max_bad_rows: int = 0
    """Unreadable rows that are left out before the run stops."""

    def make_task(self) -> Task:
        """The task as the checkpoint was trained, with the job's changes."""
        return tasks.create(self.task, saved_settings(self.checkpoint).get(self.task, {}) | dict(self.settings))

    def make_search(self, task: Task) -> SearchConfig:
        return build(SearchConfig, asdict(task.search) | dict(self.search), f"search of {self.task}")

    def open_table(self, task: Task) -> Table:
        return Table(list(self.table), task.columns or TABLES[task.table])

    def load(self, rank: int = 0) -> torch.nn.Module:
        from ofa import checkpoint

        device = self.device
        if device == "auto":
            device = f"cuda:{rank % torch.cuda.device_count()}" if torch.cuda.is_available() else "cpu"
        return checkpoint.load(self.checkpoint).to(device).eval()


class Remaining(Sequence):
    """Some rows of a table, by their numbers."""

    def __init__(self, table: Table, numbers: Sequence[int]):
        self.table, self.numbers = table, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.table[self.numbers[index]] | {"row": self.numbers[index]}

    def locate(self, index: int) -> tuple[Path, int]:
        return self.table.locate(self.numbers[index])


@dataclass(frozen=True)
class Judged:
    """Stands in for a task while samples are made, so that each keeps the truth of its row as JSON values."""

    task: Task
    measure: Measure

    @property
    def name(self) -> str:
        return self.task.name

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        sample = self.task.sample(row, train, rng)
        columns = {name: value for name, value in row.items() if name not in ("image", "row")}
        name = self.measure.key(row) or str(row["row"])
        known = {"uniq_id": name, "image_id": columns.get("image_id") or name, "row": row["row"]}
        sample.reference = (sample.reference, known | self.measure.truth(columns, sample.reference))
        return sample


def predict(
    job: Job,
    out: str | Path,
    processes: int = 1,
    limit: int | None = None,
    load: Callable[[], torch.nn.Module] | None = None,
) -> tuple[list[dict], list[dict]]:
    """Predict every row of a table that `out` does not hold yet.

    Args:
        job: task, checkpoint and table.
        out: folder of `predictions.jsonl`.
        processes: processes that predict side by side, each with its own copy of the network (and GPU, if there are).
        limit: use the first rows only.
        load: gives the network when this process predicts itself; None loads it from the job's checkpoint.

    Returns:
        Predictions, each id once, in the table's order; and the rows that could not be read, with the reason.

    Raises:
        OFAError: more than `job.max_bad_rows` rows are unreadable, or a process died.
    """
    out, task = Path(out), job.make_task()
    table, measure = job.open_table(task), measure_for(task)
    done = _collect(out)
    first, repeated, rejected = _index(table, measure, limit)
    waiting = [number for number in first.values() if number not in done]
    if len(rejected) > job.max_bad_rows:
        raise _too_many(rejected, job.max_bad_rows)
    with bar(total=len(first), label=f"evaluate {job.task}", unit="row", initial=len(first) - len(waiting)) as progress:
        if processes == 1 or len(waiting) <= job.batch_size:
            for count in _run(job, waiting, _part(out, 0), load or job.load):
                progress.update(count)
        else:
            for count in _run_in_processes(job, waiting, out, processes):
                progress.update(count)
    done = _collect(out)
    rows = [done[number] for number in sorted(first.values())]
    rejected += [row for row in rows if "error" in row]
    rows = [row for row in rows if "error" not in row]
    if len(rejected) > job.max_bad_rows:
        raise _too_many(rejected, job.max_bad_rows)
    for row in rows:
        if others := repeated.get(row["row"]):
            rows_of_id = [table[number] for number in (row["row"], *others)]
            row["references"] = [text for found in rows_of_id for text in measure.truth(found, None)["references"]]
    return rows, sorted(rejected, key=lambda row: row["row"])


def latency(job: Job, task: Task, net: torch.nn.Module, table: Table, samples: int) -> list[float]:
    """Milliseconds for each of the first rows alone, from the row to its prediction; one is run first as a warm-up."""
    search, times = job.make_search(task), []
    for number in range(min(samples, len(table)) + 1):
        start = time.perf_counter()
        try:
            sample = task.sample(table[max(0, number - 1)], False, random.Random(0))
        except OFAError:  # a bad row, which is counted elsewhere
            continue
        _answer(task, net, collate([sample]), search)
        if number:
            times.append(1000 * (time.perf_counter() - start))
    return times


def _index(
    table: Table, measure: Measure, limit: int | None
) -> tuple[dict[str, int], dict[int, list[int]], list[dict]]:
    """First row of each id; the further rows of an id by its first, where ids may repeat; rows that cannot be used."""
    first: dict[str, int] = {}
    repeated: dict[int, list[int]] = {}
    rejected: list[dict] = []
    for number in range(len(table) if limit is None else min(limit, len(table))):
        try:
            name = measure.key(table[number]) or str(number)
        except RowError as error:
            rejected.append(_rejection(number, error))
            continue
        if name not in first:
            first[name] = number
        elif measure.repeats:
            repeated.setdefault(first[name], []).append(number)
        else:
            path, row = table.locate(number)
            error = RowError(path, row, name, f"the id stands in row {first[name]} already")
            rejected.append(_rejection(number, error))
    return first, repeated, rejected


def _rejection(number: int, error: RowError) -> dict[str, Any]:
    return {"row": number, "uniq_id": error.uniq_id, "error": str(error)}


def _too_many(rejected: Sequence[Mapping[str, Any]], limit: int) -> OFAError:
    return OFAError(
        f"{len(rejected)} rows cannot be evaluated, more than max_bad_rows = {limit}; "
        f"the first: {rejected[0]['error']}. Repair the table or raise max_bad_rows"
    )


def _part(out: Path, rank: int) -> Path:
    return out / (PREDICTIONS if rank == 0 else f"predictions-{rank}.jsonl")


def _collect(out: Path) -> dict[int, dict[str, Any]]:
    """All rows written so far by row number, brought together in one file; a line cut off by a kill is dropped."""
    parts = sorted(out.glob("predictions*.jsonl"))
    rows = {row["row"]: row for part in parts for row in read_lines(part)}
    with atomic_write(out / PREDICTIONS) as file:
        for number in sorted(rows):
            file.write(json.dumps(rows[number], ensure_ascii=False) + "\n")
    for part in parts:
        if part.name != PREDICTIONS:
            part.unlink()
    return rows


def _run(job: Job, numbers: Sequence[int], path: Path, load: Callable[[], torch.nn.Module]) -> Iterator[int]:
    """Predict rows and append them to a file; yields how many were done."""
    if not numbers:
        return
    task = job.make_task()
    search, table = job.make_search(task), job.open_table(task)
    rejected: list[RowError] = []
    source = Source(table=Remaining(table, numbers), task=Judged(task, measure_for(task)), train=False)
    batches = Ordered(
        source, job.batch_size, workers=job.workers, max_bad_rows=job.max_bad_rows, report=rejected.append
    )
    net = load()
    numbered = {table.locate(number): number for number in numbers}
    with open(path, "a", encoding="utf-8") as file:

        def write(rows: Sequence[Mapping[str, Any]]) -> int:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            file.flush()
            return len(rows)

        start = time.perf_counter()
        for batch in batches:
            truths = [truth for _, truth in batch.references]
            batch.references = [reference for reference, _ in batch.references]
            prompts = [task.tokenizer.decode(ids[ids != PAD].tolist()).strip() for ids in batch.source]
            predictions = _answer(task, net, batch, search)
            seconds = (time.perf_counter() - start) / len(predictions)
            yield write(
                [
                    {
                        **truth,
                        "prompt": prompt,
                        "prediction": plain(prediction.value),
                        "score": prediction.score,
                        "seconds": round(seconds, 6),
                    }
                    for truth, prompt, prediction in zip(truths, prompts, predictions, strict=True)
                ]
            )
            start = time.perf_counter()
        yield write([_rejection(numbered[Path(error.table), error.row], error) for error in rejected])


@torch.inference_mode()
def _answer(task: Task, net: torch.nn.Module, batch: Batch, search: SearchConfig) -> list[Prediction]:
    return task.predict(net, batch.to(next(net.parameters()).device), search)


def _run_in_processes(job: Job, numbers: Sequence[int], out: Path, processes: int) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    counts = context.Queue()
    children = [
        context.Process(target=_child, args=(job, numbers[rank::processes], _part(out, rank), rank, processes, counts))
        for rank in range(processes)
    ]
    running = set(range(processes))
    try:
        for child in children:
            child.start()
        while running:
            try:
                rank, message = counts.get(timeout=1.0)
            except queue.Empty:
                for rank in running:
                    if children[rank].exitcode not in (None, 0):
                        raise OFAError(
                            f"evaluation process {rank} stopped with exit code {children[rank].exitcode}; what was "
                            f"predicted is kept in {out}, so run the same command again"
                        ) from None
                continue
            if message is None:
                running.remove(rank)
            elif isinstance(message, str):
                raise OFAError(message)
            else:
                yield message
    finally:
        for child in children:
            if child.is_alive() and running:
                child.terminate()
        for child in children:
            if child.pid is not None:
                child.join()


def _child(job: Job, numbers: Sequence[int], path: Path, rank: int, processes: int, counts) -> None:
    parent = os.getppid()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    try:
        for count in _run(job, numbers, path, partial(job.load, rank)):
            counts.put((rank, count))
            if os.getppid() != parent:  # the run was killed: do not go on unseen
                return
        counts.put((rank, None))
    except OFAError as error:
        counts.put((rank, str(error)))
