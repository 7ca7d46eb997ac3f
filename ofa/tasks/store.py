"""The settings that a network's tasks were trained with, kept beside its weights.

A network answers well only when it is asked as it was trained: picture size, coordinate bins, prompts. A checkpoint
folder of ours therefore holds `tasks.json`: task name -> settings.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from ofa.data.files import atomic_write
from ofa.errors import OFAError
from ofa.tasks import Task, create

TASKS = "tasks.json"


def save_tasks(folder: str | Path, tasks: Mapping[str, Task]) -> None:
    """Write the settings of `tasks`, by name, into a checkpoint folder."""
    with atomic_write(Path(folder) / TASKS) as file:
        json.dump({name: dataclasses.asdict(task.settings) for name, task in tasks.items()}, file, indent=2)
        file.write("\n")


def load_task(folder: str | Path, name: str) -> Task:
    """A task with the settings that the network in `folder` was trained with; the original's where it does not say.

    Raises:
        OFAError: no such task, or the file is damaged.
    """
    return create(name, saved_settings(folder).get(name))


def saved_settings(folder: str | Path) -> dict[str, dict]:
    """Task name -> settings, as a checkpoint folder holds them; empty for one that holds none, or a file."""
    path = Path(folder) / TASKS
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise OFAError(f"{path}: damaged ({error}); copy the checkpoint again") from None
