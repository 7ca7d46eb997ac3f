"""Where the tables of a task, and what belongs to them, lie in a folder that `ofa data build` made."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ofa.data import TABLES, Table
from ofa.data.remote import below, files_like, is_address, local_file, local_folder
from ofa.errors import OFAError

if TYPE_CHECKING:  # steps that build tables need no network
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


def open_table(folder: str | Path, task: "Task", split: str, name: str = "") -> Table:
    """The table of a task: NAME_SPLIT.tsv, by default named after the task's kind and language."""
    return Table(table_files(folder, [name] if name else task.table_names, split), task.columns or TABLES[task.table])


def negatives(folder: str | Path, language: str) -> str:
    """The folder of wrong captions and answers in a language, on this machine."""
    return str(local_folder(below(folder, "negatives_zh" if language == "chinese" else "negatives")))


def folder_of(table: str | Path) -> str:
    """The folder or address that a file of a table lies in."""
    return str(table).rpartition("/")[0] if is_address(table) else str(Path(table).parent)


def annotations_name(table: str | Path) -> str:
    """Name of the annotations of a table of questions: NAME_annotations.json for NAME.tsv or its shards."""
    return re.sub(r"-\d+-of-\d+$", "", Path(table).name.removesuffix(".tsv")) + "_annotations.json"


def annotations(table: str | Path) -> Path | None:
    """Annotations as VQA v2 has them that lie beside a table of questions, on this machine; None where none do."""
    found = files_like(folder_of(table), glob.escape(annotations_name(table)))
    return local_file(found[0]) if found else None
