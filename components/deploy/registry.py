"""The MLflow model registry: versions of `ofa` and the aliases that point at them.

champion is the version in use, previous the one before it, challenger the latest candidate.
"""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ofa.errors import OFAError

DEFAULT_URI = "sqlite:///mlflow.db"
EXPERIMENT = "ofa"
MODEL = "ofa"
CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"

RETRIES = (1.0, 2.0, 4.0)
"""Seconds waited before each further attempt when the registry does not answer."""

_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # attempts are counted here: MLflow's own take minutes to give up
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

_TALKATIVE = {
    "alembic": logging.WARNING,
    "mlflow.store.db.utils": logging.WARNING,
    "mlflow.pyfunc": logging.WARNING,
    "mlflow.utils.environment": logging.ERROR,  # warns that environments made by uv hold no pip
}

_PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
_CONFLICT = "BAD_REQUEST"
"""What MLflow makes of a database that refuses a row."""
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

T = TypeVar("T")


class RegistryDown(OFAError):
    """The registry did not answer, however often it was asked."""


@dataclass(frozen=True)
class Version:
    """One registered version."""

    number: str
    run_id: str
    tags: dict[str, str] = field(default_factory=dict)


class Registry:
    """A model registry.

    Args:
        uri: MLflow tracking address, such as "sqlite:///mlflow.db" or "http://mlflow:5000".
        name: of the registered model.
    """

    def __init__(self, uri: str = DEFAULT_URI, name: str = MODEL):
        for variable, value in _ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        for logger, level in _TALKATIVE.items():
            logging.getLogger(logger).setLevel(level)
        self.uri, self.name = uri, name

    @cached_property
    def client(self):
        """MLflow's client of the registry."""
        return self.call(lambda: self.mlflow.MlflowClient(self.uri, self.uri))

    @property
    def mlflow(self):
        """The module `mlflow`, whose functions work on this registry until another one is used."""
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        return mlflow

    def call(self, action: Callable[[], T], conflicts: bool = False) -> T:
        """Run an action on the registry, again after a pause when it fails for a reason that may pass.

        Args:
            action: what to run.
            conflicts: it writes a row that another program may write at the same moment. MLflow refuses the slower one,
                which finds the row when it tries again.

        Raises:
            RegistryDown: it failed at the last attempt too.
        """
        pauses = iter(RETRIES)
        while True:
            try:
                return action()
            except Exception as error:
                if not _may_pass(error, conflicts):
                    raise
                pause = next(pauses, None)
                if pause is None:
                    text = " ".join(str(error).split())[:300]
                    raise RegistryDown(
                        f"the model registry {self.uri} does not answer ({text}); nothing was lost, try again"
                    ) from error
            time.sleep(pause)

    def exists(self) -> bool:
        """False when the registry is a database file that is not there yet."""
        path = self._database()
        return path is None or path.is_file()

    def alias(self, alias: str) -> Version | None:
        """The version that an alias points at, or None."""
        from mlflow.exceptions import MlflowException

        if not self.exists():
            return None
        try:
            found = self.call(lambda: self.client.get_model_version_by_alias(self.name, alias))
        except MlflowException as error:
            if error.error_code in _ABSENT:
                return None
            raise
        return Version(str(found.version), found.run_id, dict(found.tags))

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at a version; at once, whatever it pointed at before."""
        self.call(lambda: self.client.set_registered_model_alias(self.name, alias, version), conflicts=True)

    def drop_alias(self, alias: str) -> None:
        """Remove an alias; nothing happens where it is not set."""
        self.call(lambda: self.client.delete_registered_model_alias(self.name, alias))

    def tag(self, version: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a version."""
        for key, value in tags.items():
            self.call(
                lambda key=key, value=value: self.client.set_model_version_tag(self.name, version, key, str(value)),
                conflicts=True,
            )

    def find(self, key: str, value: str, oldest: bool = False) -> Version | None:
        """The newest or the oldest version with this tag, or None."""
        return self._search(f"name = '{self.name}' and tags.`{key}` = '{value}'", "ASC" if oldest else "DESC")

    def first(self) -> Version | None:
        """The oldest version, or None."""
        return self._search(f"name = '{self.name}'", "ASC")

    def register(self, model: str, run_id: str, tags: Mapping[str, str], key: str) -> Version:
        """Make a version of a logged model; where there is one with the same value of the tag `key`, that one counts.

        Versions are numbered in the order in which they are made, tags included. So of several programs that make one
        at the same moment each sees, when it has made its own, those before it, and takes its own back.

        Args:
            model: address of the logged model.
            run_id: the run that logged it, deleted where the version of another run is there already.
            tags: of the version.
            key: the tag by which versions are the same.
        """
        made = self.call(lambda: self.mlflow.register_model(model, self.name, tags=dict(tags)))
        kept = self.find(key, tags[key], oldest=True)
        if kept.number != str(made.version):
            self.call(lambda: self.client.delete_model_version(self.name, str(made.version)))
        if kept.run_id != run_id:
            self.call(lambda: self.client.delete_run(run_id))
        return kept

    def parameters(self, run_id: str) -> dict[str, str]:
        """What a run has as parameters."""
        return dict(self.call(lambda: self.client.get_run(run_id)).data.params)

    def write_once(self, run_id: str, key: str, value: str) -> bool:
        """Set a parameter of a run that has no value yet; False where it has another one. Of several writers at the
        same moment one succeeds; one that asks again because it got no answer finds its own value, which is success."""
        from mlflow.exceptions import MlflowException

        try:
            self.call(lambda: self.client.log_param(run_id, key, value))
        except MlflowException:
            if self.parameters(run_id).get(key, value) == value:
                raise
            return False
        return True

    def download(self, version: str, part: str, out: str | Path) -> Path:
        """Copy a folder of a version's bundle to `out`, which is made anew; `part` is relative, "." for all of it."""
        model = f"models:/{self.name}/{version}"
        info = self.call(lambda: self.mlflow.models.get_model_info(model))
        inside = info.flavors["python_function"]["artifacts"]["bundle"]["path"]
        source = f"{model}/{inside}/{part}".removesuffix("/.")
        target = Path(out)
        staging = target.with_name(f".{target.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        found = self.call(lambda: self.mlflow.artifacts.download_artifacts(source, dst_path=str(staging)))
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(found, target)
        shutil.rmtree(staging)
        return target

    def fetch(self, address: str, folder: str | Path) -> Path:
        """Copy what lies at an address that MLflow reads, such as "s3://..." or "models:/ofa/3/...", into `folder`.

        Raises:
            OFAError: it cannot be had.
        """
        from mlflow.exceptions import MlflowException

        try:
            return Path(self.call(lambda: self.mlflow.artifacts.download_artifacts(address, dst_path=str(folder))))
        except (MlflowException, OSError) as error:
            raise OFAError(f"{address}: cannot be copied: {' '.join(str(error).split())[:300]}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While the block runs, no other locked block does. A database file has this lock, a server has none: the block
        may only do what is right without it too."""
        path = self._database()
        if path is None:
            yield
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.with_name(path.name + ".lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def experiment(self) -> str:
        """Id of the experiment that the runs belong to; a database file has its artifacts beside it."""
        from mlflow.exceptions import MlflowException

        client, path = self.client, self._database()
        known = self.call(lambda: client.get_experiment_by_name(EXPERIMENT))
        if known is not None:
            return known.experiment_id
        location = None if path is None else (path.absolute().parent / "mlruns").as_uri()
        try:
            return self.call(lambda: client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException:
            if (made := self.call(lambda: client.get_experiment_by_name(EXPERIMENT))) is None:
                raise
            return made.experiment_id  # another program made it meanwhile

    def _search(self, query: str, order: str) -> Version | None:
        found = self.call(
            lambda: self.client.search_model_versions(query, max_results=1, order_by=[f"version_number {order}"])
        )
        return Version(str(found[0].version), found[0].run_id, dict(found[0].tags)) if found else None

    def _database(self) -> Path | None:
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None


def _may_pass(error: Exception, conflicts: bool) -> bool:
    """Whether trying again may help: a server, its database or its store of files does not answer, or, where there may
    be `conflicts`, two programs wrote one row."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, MlflowException):
        return error.error_code in _PASSING or (conflicts and error.error_code == _CONFLICT)
    s3 = type(error).__module__.startswith(("boto3.", "botocore."))  # only there where files are in S3
    return s3 or isinstance(error, RequestException | OperationalError | ConnectionError | TimeoutError)
