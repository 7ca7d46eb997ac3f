"""Where the tables of a task lie in a folder that `ofa data build` made."""

from collections.abc import Sequence
from pathlib import Path

from ofa.data import TABLES, Table
from ofa.data.remote import below, files_like, local_folder
from ofa.errors import OFAError
from ofa.tasks import Task


def table_files(folder: str | Path, names: Sequence[str], split: str) -> list[Path | str]:
    """The file NAME_SPLIT.tsv of a folder, or its shards NAME_SPLIT-00000-of-00008.tsv, of the first name that has any.

    The folder may lie at an address, and so do its files then.

    Raises:
        OFAError: there is none.
    """
    for name in names:
        for pattern in (f"{name}_{split}.tsv", f"{name}_{split}-*-of-*.tsv"):
            if files := files_like(folder, pattern):
                return files
    raise OFAError(f"{folder}: no table {names[0]}_{split}.tsv; make it with `ofa data build`")


def open_table(folder: str | Path, task: Task, split: str, name: str = "") -> Table:
    """The table of a task: NAME_SPLIT.tsv, by default named after the task's kind and language."""
    return Table(table_files(folder, [name] if name else task.table_names, split), task.columns or TABLES[task.table])


def negatives(folder: str | Path, language: str) -> str:
    """The folder of wrong captions and answers in a language, on this machine."""
    return str(local_folder(below(folder, "negatives_zh" if language == "chinese" else "negatives")))
