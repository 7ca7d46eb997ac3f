"""The tasks, one file each. A new file in this folder that registers a `Task` is all that a new task needs.

A task may also live elsewhere: either its module is imported first, or it is named as "module:Class" or
"path/to/file.py:Class" (docs/new-task.md).
"""

import pkgutil
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ofa.errors import OFAError, nearest
from ofa.settings import build
from ofa.tasks.base import Prediction, Task, TextSettings, register, registered

__all__ = ["Prediction", "Task", "create", "get", "names", "register"]


def get(name: str) -> type[Task]:
    """The class of a task: a registered name ("caption"), or for a task outside this package "module:Class" or
    "path/to/file.py:Class".

    Raises:
        OFAError: no such task.
    """
    _import_all()
    if ":" in name:
        module, _, attribute = name.rpartition(":")
        try:
            found = getattr(_load(Path(module)) if module.endswith(".py") else import_module(module), attribute)
        except (ImportError, AttributeError, OSError) as error:
            raise OFAError(f"cannot import task {name!r}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, Task)):
            raise OFAError(f"{name!r} is no task: it must be a class derived from ofa.tasks.Task")
        return found
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


def _load(path: Path) -> ModuleType:
    """The module in a file, loaded once."""
    name = f"task_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and Path(known.__file__).samefile(path):
        return known
    spec = spec_from_file_location(name, path.resolve())
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@cache
def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
