"""Check data before anything is built from it: suites of expectations, Data Docs, a quarantine for bad rows."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.folders import check_place, make_staging, replace_folder
from components.preprocess.checks import Checks, Failure
from components.preprocess.metadata import PICTURE, Metadata
from components.preprocess.quarantine import Quarantine
from components.preprocess.rows import open_raw, raw_sources, table_sources
from components.preprocess.suites import Shares, Suite
from ofa.data.remote import local_file
from ofa.errors import OFAError
from ofa.files import atomic_write

REPORT = "report.json"
DOCS = "data_docs"


def validate(
    out: str,
    raw: str = "",
    tables: Sequence[str] = (),
    kinds: Sequence[str] = (),
    image_rate: float = 0.1,
    max_bad_rows: int = 0,
    suites: str = "",
    previous: str = "",
) -> dict[str, Any]:
    """Validate raw data, or TSV tables, and write report, Data Docs and rejected rows into the folder `out`.

    Rows that break an expectation are put aside in `rejected.tsv` as long as there are at most `max_bad_rows`; the
    rest is then validated once more. The Data Docs show both runs, "delivered" and "kept".

    Args:
        out: the folder to make: report.json, rejected.tsv (see `quarantine.REJECTED`), data_docs/index.html.
        raw: a folder that `fetch` made.
        tables: TSV files named `KIND_SPLIT.tsv`, instead of `raw`.
        kinds: kinds of tables to look at; all that the data allow by default.
        image_rate: share of the pictures that are decoded whole, 0 to 1; the header of every picture is read.
        max_bad_rows: how many rows of all tables together may be put aside.
        suites: a folder of your own suites (`KIND.yaml`), used where it has one in place of the project's.
        previous: report.json of the last version of the data, a file or an address; the shares of labels are compared
            to it.

    Returns:
        The content of report.json.

    Raises:
        OFAError: the data do not pass. The message names the first broken expectation, how many rows break it and ten
            of them; `out` is written all the same.
    """
    if bool(raw) == bool(tables):
        raise OFAError("validate: give either a folder of raw data or tables")
    if not 0 <= image_rate <= 1:
        raise OFAError(f"validate: image_rate is {image_rate}; it must be between 0 and 1")
    if max_bad_rows < 0:
        raise OFAError(f"validate: max_bad_rows is {max_bad_rows}; it must be at least 0")
    if suites and not Path(suites).is_dir():
        raise OFAError(f"validate: no such folder of suites: {suites}")
    sources = raw_sources(open_raw(raw), kinds) if raw else table_sources(tables, kinds)
    last = _last_shares(previous) if previous else {}
    folder = Path(out)
    check_place(folder, REPORT)
    staging = make_staging(folder)
    with Metadata(staging / "records.sqlite", sources) as metadata:
        metadata.fill()
        metadata.look(image_rate)
        tables = [PICTURE] if metadata.count(PICTURE) else []
        tables += dict.fromkeys(source.kind for source in sources)
        loaded = [Suite(table, suites) for table in tables]
        report = _report(metadata, loaded)
        stopped = _check(metadata, staging, loaded, last, max_bad_rows, report)
    metadata.path.unlink()
    with atomic_write(staging / REPORT) as file:
        json.dump(report, file, indent=1, ensure_ascii=False)
    replace_folder(staging, folder)
    if stopped:
        raise OFAError(f"{stopped}; see {folder / DOCS / 'index.html'}")
    return report


def _last_shares(path: str) -> dict[str, Shares]:
    try:
        return json.loads(local_file(path).read_text(encoding="utf-8"))["shares"]
    except OSError as error:
        raise OFAError(f"cannot read the report of the last version {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OFAError(f"{path}: not a report of this step: {error}") from None


def _report(metadata: Metadata, suites: Sequence[Suite]) -> dict[str, Any]:
    sources = metadata.sources.values()
    return {
        "success": False,
        "rows": {source.name: metadata.count(source.kind, f"source = '{source.name}'") for source in sources},
        "pictures": {"all": metadata.count(PICTURE), "decoded": metadata.count(PICTURE, "decoded = 1")},
        "shares": {
            suite.kind: {column: metadata.shares(suite.kind, column) for column in suite.compared}
            for suite in suites
            if suite.compared
        },
    }


def _check(
    metadata: Metadata,
    staging: Path,
    suites: Sequence[Suite],
    last: dict[str, Shares],
    max_bad_rows: int,
    report: dict[str, Any],
) -> str:
    """Run the suites and fill the report; why the data do not pass, or an empty string."""
    loaded = {suite.kind: suite.make(last.get(suite.kind, {})) for suite in suites}
    checks = Checks(metadata.path, staging / DOCS)
    failures = checks.run(loaded, "delivered")
    critical = _critical(failures)
    quarantine = Quarantine(metadata.database, max(1000, max_bad_rows + 1))
    for failure in critical:
        if failure.query:
            quarantine.add(failure)
    stopped = ""
    if len(quarantine) > max_bad_rows or any(failure.query is None for failure in critical):
        stopped = _message(critical, len(quarantine), max_bad_rows)
    elif critical:
        quarantine.remove()
        remaining = _critical(checks.run(loaded, "kept"))
        failures += remaining
        stopped = _message(remaining, len(quarantine), max_bad_rows) if remaining else ""
    quarantine.write(staging)
    checks.write_docs()
    report |= {
        "success": not stopped,
        "stopped_by": stopped,
        "expectations": {table: len(suite.expectations) for table, suite in loaded.items()},
        "failures": [_summary(failure) for failure in failures],
        "rejected": {"rows": len(quarantine), "max_bad_rows": max_bad_rows, "reasons": quarantine.reasons()},
    }
    return stopped


def _critical(failures: Sequence[Failure]) -> list[Failure]:
    return [failure for failure in failures if failure.severity == "critical"]


def _summary(failure: Failure) -> dict[str, Any]:
    return {key: value for key, value in asdict(failure).items() if key != "query"}


def _message(failures: Sequence[Failure], bad: int, limit: int) -> str:
    more = f"; {len(failures) - 1} more broken" if len(failures) > 1 else ""
    count = f"; {bad} bad rows, max_bad_rows is {limit}" if bad > limit else ""
    return f"the data do not pass: {failures[0]}{more}{count}"
