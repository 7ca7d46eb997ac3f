"""The settings that a network's tasks were trained with, kept beside its weights.

A network answers well only when it is asked as it was trained: picture size, coordinate bins, prompts. A checkpoint
folder of ours therefore holds `tasks.json`: task name -> settings.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ofa.checkpoint import read_config
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.tasks import Task, create, get
from ofa.text import Tokenizer

TASKS = "tasks.json"


def save_tasks(folder: str | Path, tasks: Mapping[str, Task]) -> None:
    """Write the settings of `tasks`, by name, into a checkpoint folder."""
    settings = {name: dataclasses.asdict(task.settings) for name, task in tasks.items()}
    for values in settings.values():
        if "negatives" in values:  # a folder that goes with tables, not with a network
            values["negatives"] = None
    with atomic_write(Path(folder) / TASKS) as file:
        json.dump(settings, file, indent=2)
        file.write("\n")


def load_task(path: str | Path, name: str) -> Task:
    """A task with the settings that the network at `path` was trained with, see `settings_of`.

    Raises:
        OFAError: no such task, or a file is missing or damaged.
    """
    return create(name, settings_of(path, name))


def settings_of(path: str | Path, name: str) -> dict[str, Any]:
    """The settings that the network at `path` was trained with for a task.

    Where it does not say, as the original's files never do, the original's, in the language of the vocabulary.
    """
    learned = learned_settings(saved_settings(path), name)
    return vocabulary_settings(read_config(path).vocabulary_size) if learned is None else learned


def learned_settings(saved: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    """The settings that a task was learned with: its own among `saved`, or what it shares with those of the task that
    it is part of; None where a network with these saved settings never learned it."""
    task = get(name)
    if task.name in saved:
        return dict(saved[task.name])
    if task.part_of not in saved:
        return None
    shared = {field.name for field in dataclasses.fields(task.Settings)}
    return {key: value for key, value in saved[task.part_of].items() if key in shared}


def vocabulary_settings(rows: int) -> dict[str, Any]:
    """What a vocabulary of this size says about the settings of every task."""
    tokenizer = Tokenizer.of_size(rows)
    return {} if tokenizer is None else {"language": tokenizer.name}


def saved_settings(folder: str | Path) -> dict[str, dict]:
    """Task name -> settings, as a checkpoint folder holds them; empty for one that holds none, or a file."""
    path = Path(folder) / TASKS
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise OFAError(f"{path}: damaged ({error}); copy the checkpoint again") from None
