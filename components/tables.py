"""Where the tables of a task lie in a folder that `ofa data build` made."""

from pathlib import Path

from ofa.data import TABLES, Table
from ofa.errors import OFAError
from ofa.tasks import Task


def table_files(folder: str | Path, name: str, split: str) -> list[Path]:
    """The file NAME_SPLIT.tsv of a folder, or its shards NAME_SPLIT-00000-of-00008.tsv.

    Raises:
        OFAError: there is none.
    """
    folder = Path(folder)
    whole = folder / f"{name}_{split}.tsv"
    files = [whole] if whole.exists() else sorted(folder.glob(f"{name}_{split}-*-of-*.tsv"))
    if not files:
        raise OFAError(f"{folder}: no table {whole.name}; make it with `ofa data build`")
    return files


def open_table(folder: str | Path, task: Task, split: str, name: str = "") -> Table:
    """The table of a task: NAME_SPLIT.tsv, by default named after the task's kind and language."""
    return Table(table_files(folder, name or task.table_name, split), task.columns or TABLES[task.table])
