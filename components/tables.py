"""Where the tables of a task lie in a folder that `ofa data build` made."""

from pathlib import Path

from ofa.data import TABLES, Table
from ofa.errors import OFAError
from ofa.tasks import Task


def table_files(folder: str | Path, kind: str, split: str) -> list[Path]:
    """The file KIND_SPLIT.tsv of a folder, or its shards KIND_SPLIT-00000-of-00008.tsv.

    Raises:
        OFAError: there is none.
    """
    folder = Path(folder)
    whole = folder / f"{kind}_{split}.tsv"
    files = [whole] if whole.exists() else sorted(folder.glob(f"{kind}_{split}-*-of-*.tsv"))
    if not files:
        raise OFAError(f"{folder}: no table {whole.name}; make it with `ofa data build`")
    return files


def open_table(folder: str | Path, task: Task | type[Task], split: str, name: str = "") -> Table:
    """The table of a task: NAME_SPLIT.tsv, by default named after the task's kind."""
    return Table(table_files(folder, name or task.table, split), task.columns or TABLES[task.table])
