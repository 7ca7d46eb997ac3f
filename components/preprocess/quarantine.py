"""Put rows that break an expectation aside: marked in the database of records, written to a table of their own."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from components.preprocess.checks import Failure
from components.preprocess.metadata import PICTURE
from components.preprocess.records import COLUMNS
from ofa.data import TableWriter
from ofa.errors import OFAError

NAME = "rejected.tsv"
REJECTED = ("table", "row", "uniq_id", "reason")
"""Columns of the table of rejected rows: name of the table (`caption_train`), number of the row in it, id, reason."""


class Quarantine:
    """The rejected rows of a database of records.

    Args:
        database: holds the records, and the rejected rows in a table of their own.
        limit: how many rows of one broken expectation are noted at most.
    """

    def __init__(self, database: sqlite3.Connection, limit: int):
        self._database, self._limit = database, limit
        database.execute(
            "CREATE TABLE rejected (source TEXT, row INTEGER, uniq_id TEXT, reason TEXT, because TEXT, "
            "PRIMARY KEY (source, row)) STRICT"
        )

    def __len__(self) -> int:
        return self._database.execute("SELECT COUNT(*) FROM rejected").fetchone()[0]

    def add(self, failure: Failure) -> None:
        """Reject the rows of a failure (with a `query`); for a picture, all rows that show it. First reason counts."""
        found = self._database.execute(f"{failure.query} LIMIT {self._limit}").fetchall()
        for source, row, uniq_id, value, *_ in found:
            reason = f"{failure.column} is {value}: {failure.because}" if failure.column else failure.because
            if failure.column == "error":
                reason = str(value)
            if failure.table != PICTURE:
                self._insert([(source, row, uniq_id)], reason, failure)
                continue
            for kind in COLUMNS:
                shown = f"SELECT source, row, uniq_id FROM {kind} WHERE picture = ?"
                self._insert(self._database.execute(shown, (uniq_id,)).fetchall(), reason, failure)

    def remove(self) -> None:
        """Delete the rejected rows from the records, and the pictures that no row shows any more."""
        for kind in COLUMNS:
            self._database.execute(f"DELETE FROM {kind} WHERE (source, row) IN (SELECT source, row FROM rejected)")
        shown = " UNION ".join(f"SELECT picture FROM {kind} WHERE picture IS NOT NULL" for kind in COLUMNS)
        self._database.execute(f"DELETE FROM {PICTURE} WHERE uniq_id NOT IN ({shown})")

    def reasons(self) -> dict[str, int]:
        """How many rows were rejected for which expectation, most first."""
        counts = Counter(dict(self._database.execute("SELECT because, COUNT(*) FROM rejected GROUP BY because")))
        return dict(counts.most_common())

    def write(self, folder: Path) -> None:
        """Write the table of rejected rows into `folder`."""
        with TableWriter(folder / NAME, REJECTED) as writer:
            query = "SELECT source, row, uniq_id, reason FROM rejected ORDER BY source, row"
            for values in self._database.execute(query):
                cleaned = (" ".join(str(value).split()) for value in values)
                writer.write(dict(zip(REJECTED, cleaned, strict=True)))

    def _insert(self, rows: Sequence[tuple], reason: str, failure: Failure) -> None:
        because = f"{failure.table}: {failure.because}"
        self._database.executemany(
            "INSERT OR IGNORE INTO rejected VALUES (?, ?, ?, ?, ?)", ((*row, reason, because) for row in rows)
        )


def read_rejected(folder: str | Path) -> dict[str, dict[str, str]]:
    """The rejected rows in a folder that `validate` made: reason by uniq-id by name of the table.

    Raises OFAError if there is no such table.
    """
    path = Path(folder) / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise OFAError(f"cannot read {path}: {error.strerror}; validate the raw data first") from error
    rejected: dict[str, dict[str, str]] = {}
    for line in lines:
        table, _, uniq_id, reason = line.split("\t")
        rejected.setdefault(table, {})[uniq_id] = reason
    return rejected
