"""Pipelines on a cluster: uploaded once a version, started, scheduled, looked after.

A compiled pipeline holds all its settings. Its hash names the version, so the same source and settings are uploaded
once, and a run's version says exactly what ran.
"""

import contextlib
import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ofa.errors import OFAError
from pipelines.catalog import pipeline
from pipelines.compile import compile_pipeline

EXPERIMENT = "ofa"


@dataclass(frozen=True)
class Started:
    """A run that was started."""

    id: str
    version: str
    """Name of the pipeline's version."""


@dataclass(frozen=True)
class Scheduled:
    """The recurring run of a pipeline."""

    id: str
    change: str
    """made, replaced or unchanged."""


@dataclass(frozen=True)
class _Version:
    pipeline: str
    id: str
    name: str


class Remote:
    """A Kubeflow Pipelines installation.

    Args:
        host: its address.
        namespace: of the runs, where the installation has several users; empty where it has one.

    Raises:
        OFAError: from here on, whenever the installation does not answer or refuses.
    """

    def __init__(self, host: str, namespace: str = ""):
        self._host, self._namespace = host, namespace or None
        with self._asked(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from kfp import Client

            self._client = Client(host=host, **({"namespace": namespace} if namespace else {}))

    def submit(self, name: str, params: Mapping[str, Any], given: Mapping[str, Any], images: str = "") -> Started:
        """Start a pipeline; the arguments are those of `compile_pipeline`, and every parameter needs a value."""
        with self._asked():
            version = self._upload(name, params, given, images)
            made = self._client.run_pipeline(
                self._experiment(), version.name, pipeline_id=version.pipeline, version_id=version.id
            )
            return Started(made.run_id, version.name)

    def schedule(
        self, name: str, params: Mapping[str, Any], given: Mapping[str, Any], cron: str, images: str = ""
    ) -> Scheduled:
        """Make the one recurring run of a pipeline what is asked for; nothing happens where it is.

        Two of its runs never overlap, and a cluster that was down does not catch up on the runs that it missed.

        Args:
            name: of the pipeline, as the following are those of `compile_pipeline`.
            params: the content of params.yaml.
            given: arguments besides it.
            cron: second, minute, hour, day of month, month, day of week.
            images: where the cluster pulls the images from; by default `cluster.images` of params.yaml.
        """
        if len(cron.split()) != 6:
            raise OFAError(f"cron '{cron}' must have six fields: second, minute, hour, day, month, weekday")
        with self._asked():
            version, experiment = self._upload(name, params, given, images), self._experiment()
            known = list(self._recurring(experiment, f"ofa-{name}"))
            same = [
                run
                for run in known
                if run.trigger.cron_schedule.cron == cron
                and run.pipeline_version_reference.pipeline_version_id == version.id
            ]
            if same:
                kept, change = same[0].recurring_run_id, "unchanged" if len(known) == 1 else "replaced"
            else:  # the new one first: a schedule is never missing
                made = self._client.create_recurring_run(
                    experiment,
                    f"ofa-{name}",
                    cron_expression=cron,
                    max_concurrency=1,
                    no_catchup=True,
                    pipeline_id=version.pipeline,
                    version_id=version.id,
                )
                kept, change = made.recurring_run_id, "replaced" if known else "made"
            for run in known:
                if run.recurring_run_id != kept:
                    self._client.delete_recurring_run(run.recurring_run_id)
            return Scheduled(kept, change)

    def status(self, run: str = "", most: int = 10) -> list[str]:
        """Lines for people: a run with its steps that failed, or the last `most` runs."""
        with self._asked():
            if not run:
                experiment = self._experiment()
                found = self._client.list_runs(page_size=most, sort_by="created_at desc", experiment_id=experiment).runs
                return [_line(one) for one in found or ()]
            found = self._client.get_run(run)
            tasks = (found.run_details.task_details if found.run_details else None) or ()
            failed = [task for task in tasks if task.state == "FAILED"]
            return [_line(found), *(f"  {task.display_name} failed: {_why(task)}" for task in failed)]

    def _upload(self, name: str, params: Mapping[str, Any], given: Mapping[str, Any], images: str) -> _Version:
        missing = [key for key in ("registry", *pipeline(name).needs) if key not in given]
        if missing:
            raise OFAError(f"pipeline '{name}' needs {', '.join(missing)}: give it as {missing[0]}=VALUE")
        title = f"ofa-{name}"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{title}.yaml"
            compile_pipeline(name, params, path, given, images)
            version = f"{title}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
            known = self._client.get_pipeline_id(title)
            if known is None:
                known = self._client.upload_pipeline(str(path), title, namespace=self._namespace).pipeline_id
            found = self._client.list_pipeline_versions(known, filter=_named(version)).pipeline_versions
            made = found[0] if found else self._client.upload_pipeline_version(str(path), version, pipeline_id=known)
        return _Version(known, made.pipeline_version_id, version)

    def _experiment(self) -> str:
        return self._client.create_experiment(EXPERIMENT, namespace=self._namespace).experiment_id

    def _recurring(self, experiment: str, name: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._client.list_recurring_runs(
                page_token=token, page_size=100, experiment_id=experiment, filter=_named(name)
            )
            yield from page.recurring_runs or ()
            token = page.next_page_token
            if not token:
                return

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """One error for what the client raises; what it prints about addresses of pages is left out."""
        from kfp_server_api import ApiException
        from urllib3.exceptions import HTTPError

        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except ApiException as error:
            raise OFAError(f"{self._host}: Kubeflow Pipelines refuses: {error.status} {_reason(error)}") from error
        except (HTTPError, OSError) as error:
            why = getattr(error, "reason", error)  # the last of several attempts
            raise OFAError(f"{self._host}: Kubeflow Pipelines does not answer: {why}; check --host") from error


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _reason(error: Any) -> str:
    try:
        return json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _why(task: Any) -> str:
    return " ".join(str(task.error.message or "").split()) if task.error else "no reason given"


def _line(run: Any) -> str:
    return f"{run.run_id}  {run.state or 'PENDING':<10} {run.display_name}"
