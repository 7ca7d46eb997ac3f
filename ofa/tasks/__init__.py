"""The tasks, one file each. A new file in this folder that registers a `Task` is all that a new task needs.

A task may also live elsewhere: either its module is imported first, or it is named as "module:Class".
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from ofa.errors import OFAError, nearest
from ofa.settings import build
from ofa.tasks.base import Prediction, Task, TextSettings, register, registered

__all__ = ["Prediction", "Task", "create", "get", "names", "register"]


def get(name: str) -> type[Task]:
    """The class of a task: a registered name ("caption") or "module:Class" for a task outside this package.

    Raises:
        OFAError: no such task.
    """
    _import_all()
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise OFAError(f"cannot import task {name!r}: {error}") from error
    if name not in registered:
        raise OFAError(f"no task {name!r}{nearest(name, list(registered))} (known: {', '.join(names())})")
    return registered[name]


def create(name: str, settings: TextSettings | Mapping[str, Any] | None = None) -> Task:
    """A task with its settings; a mapping is checked key by key."""
    task = get(name)
    if settings is None or isinstance(settings, Mapping):
        settings = build(task.Settings, settings, f"task {name}")
    return task(settings)


def names() -> list[str]:
    """Names of all registered tasks."""
    _import_all()
    return sorted(registered)


@cache
def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
