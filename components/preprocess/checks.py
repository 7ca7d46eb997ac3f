"""Run suites of expectations on the database of records with Great Expectations, and write its Data Docs."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.preprocess.docs import SuiteRun, finish_docs
from ofa.errors import OFAError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationValidationResult

EXAMPLES = 10
_INDEX = ["source", "row", "uniq_id"]


@dataclass(frozen=True)
class Failure:
    """An expectation that does not hold."""

    table: str
    """Kind of table, or "picture"."""
    expectation: str
    """Its name in Great Expectations with its arguments."""
    column: str | None
    """The column that it looks at, if it is one."""
    because: str
    """Why it must hold."""
    severity: str
    """"critical" stops the pipeline, anything else is only reported."""
    rows: int | None
    """How many rows break it; None when it is about the table as a whole."""
    examples: tuple[str, ...]
    """"table/uniq-id" of up to ten of them."""
    observed: object
    """What was found instead, for an expectation about the whole table."""
    query: str | None
    """SQL that gives source, row, uniq_id and the value of each row that breaks it; None where rows cannot be told."""

    def __str__(self) -> str:
        if self.rows is None:
            found = f"found {self.observed}"
        else:
            found = f"{self.rows} row{'' if self.rows == 1 else 's'}"
            found += f" ({', '.join(self.examples)}{', ...' if self.rows > len(self.examples) else ''})"
        return f"{self.table}: {self.expectation} does not hold: {found}; {self.because}"


class Checks:
    """A Great Expectations context for one database, without files of its own except the Data Docs.

    Args:
        database: the SQLite file of records.
        docs: the folder to write the Data Docs into.
    """

    def __init__(self, database: Path, docs: Path):
        import great_expectations as gx
        from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

        self._database, self._docs = database, docs
        self._runs: list[SuiteRun] = []
        site = {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.absolute())},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
        # Without a configuration of ours, a folder for a site of its own would stay behind in the temporary folder.
        config = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(), data_docs_sites={"site": site}
        )
        self._context = gx.get_context(mode="ephemeral", project_config=config)
        self._context.variables.progress_bars = {"globally": False}
        self._datasource = self._context.data_sources.add_sqlite("records", connection_string=f"sqlite:///{database}")

    def run(self, suites: Mapping[str, "ExpectationSuite"], name: str) -> list[Failure]:
        """Validate each table (a key of `suites`) with its suite, as the run `name` of the Data Docs.

        Raises:
            OFAError: an expectation cannot be evaluated, for example because it names no column.
        """
        import great_expectations as gx

        definitions = []
        for table, suite in suites.items():
            asset = self._datasource.add_table_asset(f"{table}-{name}", table_name=table)
            batch = asset.add_batch_definition_whole_table("all")
            suite = self._context.suites.add_or_update(suite)
            definition = gx.ValidationDefinition(name=f"{table}-{name}", data=batch, suite=suite)
            definitions.append(self._context.validation_definitions.add(definition))
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=definitions,
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": EXAMPLES,
                "unexpected_index_column_names": _INDEX,
                "return_unexpected_index_query": True,
            },
        )
        run = self._context.checkpoints.add(checkpoint).run(run_id=gx.RunIdentifier(run_name=name))
        failures = []
        for result in run.run_results.values():
            table, results = result.suite_name, result.results
            broken = tuple(self._failure(table, found) for found in results if not found.success)
            self._runs.append(SuiteRun(name, table, len(results), len(results) - len(broken), broken))
            failures += broken
        return failures

    def write_docs(self) -> None:
        """Write the pages of all runs so far."""
        self._context.build_data_docs(site_names=["site"])
        finish_docs(self._docs, self._runs)

    def _failure(self, table: str, found: "ExpectationValidationResult") -> Failure:
        configuration, result = found.expectation_config, found.result
        arguments = {key: value for key, value in configuration.kwargs.items() if key != "batch_id"}
        own = arguments.pop("unexpected_rows_query", None)
        shown = ", ".join(f"{key}={str(value):.80}" for key, value in arguments.items())
        expectation = f"{configuration.type}({shown})"
        if message := _exception(found.exception_info):
            raise OFAError(f"{table}: {expectation} cannot be evaluated: {message}; correct the suite")
        rows, query = result.get("unexpected_count"), result.get("unexpected_index_query")
        if own:
            rows = int(result["observed_value"])
            query = f"SELECT source, row, uniq_id, NULL FROM ({own.format(batch=table)})"
        examples, query = self._examples(query.rstrip("; \n"), rows) if query else ((), None)
        return Failure(
            table=table,
            expectation=expectation,
            column=arguments.get("column"),
            because=str(configuration.notes),
            severity=configuration.severity.value,
            rows=rows,
            examples=examples,
            observed=result.get("observed_value"),
            query=query,
        )

    def _examples(self, query: str, rows: int) -> tuple[tuple[str, ...], str | None]:
        with closing(sqlite3.connect(self._database)) as database:
            # Great Expectations' own queries leave out row conditions and join compound columns wrongly: trust no
            # query that selects other rows than it counted.
            if database.execute(f"SELECT COUNT(*) FROM ({query})").fetchone()[0] != rows:
                return (), None
            return tuple(f"{row[0]}/{row[2]}" for row in database.execute(f"{query} LIMIT {EXAMPLES}")), query


def _exception(info: Mapping) -> str:
    """The message of the first exception that an expectation met; empty if there was none."""
    entries = [info] if "raised_exception" in info else info.values()
    messages = [str(entry["exception_message"]) for entry in entries if entry["raised_exception"]]
    return " ".join(messages[0].split())[:300] if messages else ""
