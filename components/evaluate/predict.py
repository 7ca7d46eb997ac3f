"""Predictions of a checkpoint on a table, written as they come; a run that was killed goes on where it stopped."""

import json
import os
import queue
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import multiprocessing

from components.evaluate.judges import Judges
from components.evaluate.measure import Measure, plain
from components.evaluate.measures import measure_for
from components.evaluate.pretraining import losses
from components.evaluate.record import read_lines
from ofa import tasks
from ofa.data import Table
from ofa.data.batch import PAD, Batch, Sample, collate
from ofa.data.mixing import Source
from ofa.data.ordered import Ordered
from ofa.data.remote import placed
from ofa.data.schema import TABLES
from ofa.data.table import RowError
from ofa.device import choose_device, exact_float32
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.generate import SearchConfig
from ofa.progress import bar
from ofa.settings import build
from ofa.tasks import Prediction, Task
from ofa.tasks.store import settings_of


class Rows(Protocol):
    """What is predicted: `ofa.data.Table`, or anything like it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    def locate(self, index: int) -> tuple[Path | str, int]: ...

    def ahead(self, indices: Iterable[int]) -> None: ...


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
    precision: str = "fp32"
    """fp32, or bf16: faster on GPUs that compute in it, with scores that differ in the third digit."""
    compile: bool = False
    """Run the steps of the search through `torch.compile`."""
    max_bad_rows: int = 0
    """Unreadable rows that are left out before the run stops."""
    judges: Judges = Judges()
    """What outputs are judged with besides the table's truth."""
    seed: int = 0
    """Together with a row's id, of what a search with sampling draws for it: in any batch, by any process."""

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):
            raise OFAError(f"precision must be fp32 or bf16, got {self.precision!r}")
        choose_device(self.device)  # an error before anything is written

    def make_task(self) -> Task:
        """The task as the checkpoint was trained, with the job's changes."""
        task = tasks.create(self.task, settings_of(self.checkpoint, self.task) | dict(self.settings))
        task.compiled = self.compile
        return task

    def make_search(self, task: Task) -> SearchConfig:
        return build(SearchConfig, asdict(task.search) | dict(self.search), f"search of {self.task}")

    def open_table(self, task: Task) -> Rows:
        return Table(list(self.table), task.columns or TABLES[task.table])

    def make_measure(self, task: Task) -> Measure:
        """Gives each prediction the truth that it is held against, and says which rows share one."""
        return measure_for(task, checkpoint=self.checkpoint, judges=self.judges)

    def load(self, rank: int = 0) -> torch.nn.Module:
        from ofa import checkpoint

        return checkpoint.load(self.checkpoint).to(choose_device(self.device, rank)).eval()


class Remaining(Sequence):
    """Some rows of a table, by their numbers."""

    def __init__(self, table: Rows, numbers: Sequence[int]):
        self.table, self.numbers = table, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.table[self.numbers[index]] | {"row": self.numbers[index]}

    def locate(self, index: int) -> tuple[Path | str, int]:
        return self.table.locate(self.numbers[index])

    def ahead(self, indices: Iterable[int]) -> None:
        self.table.ahead([self.numbers[index] for index in indices])


@dataclass(frozen=True)
class Judged:
    """Stands in for a task while samples are made, so that each keeps the truth of its row as JSON values."""

    task: Task
    measure: Measure
    seed: int

    @property
    def name(self) -> str:
        return self.task.name

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> list[Sample]:
        columns = {name: value for name, value in row.items() if name not in ("image", "row")}
        name = self.measure.key(row) or str(row["row"])
        # What a row draws is its own: the same beside any other rows, and where a run goes on.
        made = self.task.sample(row, train, random.Random(f"{self.seed} {name}"))
        samples = made if isinstance(made, list) else [made]
        known = {"uniq_id": name, "image_id": columns.get("image_id") or name, "row": row["row"]}
        for number, sample in enumerate(samples):
            further = {"uniq_id": f"{name}#{number}", "further_of": name} if number else {}
            names = known | further
            sample.seed = random.Random(f"{self.seed} {names['uniq_id']}").getrandbits(63)
            sample.reference = (sample.reference, names | self.measure.truth(columns, sample.reference))
        # The first sample is written last, and says that the row is done.
        return samples[::-1]


def predict(
    job: Job,
    path: str | Path,
    processes: int = 1,
    limit: int | None = None,
    load: Callable[[], torch.nn.Module] | None = None,
) -> tuple[list[dict], list[dict], int]:
    """Predict every row that a file of predictions does not hold yet.

    Args:
        job: task, checkpoint and table.
        path: JSON lines, one a prediction, written as they come and put in the table's order at the end. A row that
            could not be read is a line with its `error`; it is tried again when the file is gone on with.
        processes: processes that predict side by side, each with its own copy of the network (and GPU, if there are).
        limit: use the first rows only.
        load: gives the network when this process predicts itself; None loads it from the job's checkpoint.

    Returns:
        Predictions, each id once, in the table's order; the rows that could not be read, with the reason; and how many
        of the predictions were made now. A row that gives several samples has a prediction for each; all but the first
        have the row's id as `further_of`.

    Raises:
        OFAError: more than `job.max_bad_rows` rows are unreadable, or a process died.
    """
    path, task = Path(path), job.make_task()
    table, measure = job.open_table(task), job.make_measure(task)
    first, repeated, rejected = _index(table, measure, limit)
    if len(rejected) > job.max_bad_rows:
        raise _too_many(rejected, job.max_bad_rows)
    done = _collect(path, first)
    names = {number: name for name, number in first.items() if "error" in done.get(name, {"error": "not predicted"})}
    waiting = list(names)
    if processes == 1 or len(waiting) <= job.batch_size:
        batches = _run(job, waiting, load or job.load)
    else:
        batches = _run_in_processes(job, waiting, processes)
    new = 0
    with (
        bar(total=len(first), label=f"predict {job.task}", unit="row", initial=len(first) - len(waiting)) as progress,
        open(path, "a", encoding="utf-8") as file,
    ):
        for batch in batches:
            file.writelines(
                _line(row if "further_of" in row else row | {"uniq_id": names[row["row"]]}) for row in batch
            )
            file.flush()
            new += sum("error" not in row for row in batch)
            progress.update(sum("further_of" not in row for row in batch))
    done = _collect(path, first)
    rows = [row for row in done.values() if row.get("further_of", row["uniq_id"]) in first]
    rows.sort(key=lambda row: (row["row"], "further_of" in row))
    rejected += [row for row in rows if "error" in row]
    rows = [row for row in rows if "error" not in row]
    if len(rejected) > job.max_bad_rows:
        raise _too_many(rejected, job.max_bad_rows)
    for row in rows:
        if others := repeated.get(row["row"]):
            row |= measure.together([table[number] for number in (row["row"], *others)])
    return rows, sorted(rejected, key=lambda row: row["row"]), new


def latency(job: Job, task: Task, net: torch.nn.Module, table: Rows, samples: int) -> list[float]:
    """Milliseconds that each of the first readable rows takes alone, from the row to its prediction.

    One row more is run first as a warm-up, if there are more than one.
    """
    search, times = job.make_search(task), []
    for number in range(len(table)):
        if len(times) > samples:
            break
        start = time.perf_counter()
        try:
            sample = task.sample(table[number], False, random.Random(0))
        except OFAError:  # a bad row, which is counted elsewhere
            continue
        batch = collate(sample if isinstance(sample, list) else [sample])
        _answer(job, task, net, batch.to(next(net.parameters()).device), search)
        times.append(1000 * (time.perf_counter() - start))
    return times[1:] or times


def _index(table: Rows, measure: Measure, limit: int | None) -> tuple[dict[str, int], dict[int, list[int]], list[dict]]:
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


def _collect(path: Path, numbers: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """All rows written so far by id, in the file once each and in the order of `numbers`; of two with an id the later
    one counts, and a line cut off by a kill is dropped."""
    rows = {row["uniq_id"]: row for row in read_lines(path)} if path.exists() else {}
    rows = {name: row | {"row": numbers.get(name, row["row"])} for name, row in rows.items()}
    with atomic_write(path) as file:
        file.writelines(_line(row) for row in sorted(rows.values(), key=lambda row: row["row"]))
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _run(job: Job, numbers: Sequence[int], load: Callable[[], torch.nn.Module]) -> Iterator[list[dict[str, Any]]]:
    """Predict rows; yields them batch by batch, and with them those that could not be read."""
    if not numbers:
        return
    task = job.make_task()
    measure = job.make_measure(task)
    search, table = job.make_search(task), job.open_table(task)
    rejected: list[RowError] = []
    source = Source(table=Remaining(table, numbers), task=Judged(task, measure, job.seed), train=False)
    net = load()
    device = next(net.parameters()).device
    measure.equip(device)
    batches = Ordered(
        source,
        job.batch_size,
        workers=job.workers,
        max_bad_rows=job.max_bad_rows,
        report=rejected.append,
        pin=device.type == "cuda",
    )
    numbered = {table.locate(number): number for number in numbers}
    start = time.perf_counter()
    for batch in batches:
        truths = [truth for _, truth in batch.references]
        batch.references = [reference for reference, _ in batch.references]
        prompts = [task.tokenizer.decode(ids[ids != PAD].tolist()).strip() for ids in batch.source]
        batch = batch.to(device)
        predictions = _answer(job, task, net, batch, search)
        if measure.losses:
            with exact_float32(job.precision):
                truths = [t | {"loss": loss} for t, loss in zip(truths, losses(net, batch), strict=True)]
        seconds = (time.perf_counter() - start) / len(predictions)
        yield [
            {
                **truth,
                "prompt": prompt,
                "prediction": plain(prediction.value),
                "score": prediction.score,
                "seconds": round(seconds, 6),
            }
            for truth, prompt, prediction in zip(truths, prompts, predictions, strict=True)
        ]
        start = time.perf_counter()
    yield [_rejection(numbered[placed(error.table), error.row], error) for error in rejected]


@torch.inference_mode()
def _answer(job: Job, task: Task, net: torch.nn.Module, batch: Batch, search: SearchConfig) -> list[Prediction]:
    autocast = torch.autocast(batch.source.device.type, torch.bfloat16, enabled=job.precision == "bf16")
    with exact_float32(job.precision), autocast:
        return task.predict(net, batch, search)


def _run_in_processes(job: Job, numbers: Sequence[int], processes: int) -> Iterator[list[dict[str, Any]]]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    children = [
        context.Process(target=_child, args=(job, numbers[rank::processes], rank, processes, results))
        for rank in range(processes)
    ]
    running = set(range(processes))
    try:
        for child in children:
            child.start()
        while running:
            try:
                rank, message = results.get(timeout=1.0)
            except queue.Empty:
                for rank in running:
                    if children[rank].exitcode not in (None, 0):
                        raise OFAError(
                            f"predicting process {rank} stopped with exit code {children[rank].exitcode}; what was "
                            "predicted is kept, so run the same command again"
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


def _child(job: Job, numbers: Sequence[int], rank: int, processes: int, results) -> None:
    parent = os.getppid()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    try:
        for rows in _run(job, numbers, partial(job.load, rank)):
            results.put((rank, rows))
            if os.getppid() != parent:  # the run was killed: do not go on unseen
                return
        results.put((rank, None))
    except OFAError as error:
        results.put((rank, str(error)))
