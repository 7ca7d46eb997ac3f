"""Keeps the model of the moment: loads it, watches for a new version, warms that, and only then switches."""

import logging
import threading
import time
from collections.abc import Callable

from components.deploy.registry import RegistryDown
from components.deploy.service.errors import NotReady
from components.deploy.service.logs import fields
from components.deploy.service.metrics import Metrics
from components.deploy.service.models import Model
from components.deploy.service.sources import Source
from ofa.errors import OFAError

logger = logging.getLogger(__name__)

_RETRY = 10
"""Looks at the registry before a version that could not be loaded is tried again."""


class Keeper:
    """Loads and reloads in a thread of its own; who holds a model keeps it until the last answer.

    Args:
        source: where versions come from.
        poll_seconds: pause between looks at a source whose version may change.
        metrics: where loads are counted.
        failed: called with the error when there is no first model.
    """

    def __init__(
        self, source: Source, poll_seconds: float, metrics: Metrics, failed: Callable[[Exception], None] | None = None
    ):
        self._source, self._pause, self._metrics, self._failed = source, poll_seconds, metrics, failed
        self._model: Model | None = None
        self._refused: str | None = None  # a version that could not be loaded, tried again at _retry
        self._retry = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether there is a model."""
        return self._model is not None

    @property
    def model(self) -> Model:
        """The model of the moment.

        Raises:
            NotReady: none is loaded yet.
        """
        if self._model is None:
            raise NotReady("the model is still being loaded; try again in a moment")
        return self._model

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def _work(self) -> None:
        try:
            self._switch(self._first())
        except Exception as error:  # reported by who started this thread, which has no one else to tell
            self._metrics.loads.labels("failed").inc()
            if self._failed is not None:
                self._failed(error)
            return
        served = self.model.version
        while self._source.moves and not self._stop.wait(self._pause):
            served = self._look(served)

    def _first(self) -> str:
        try:
            return self._source.current()
        except RegistryDown as error:
            version = self._source.cached()
            if version is None:
                raise
            logger.warning("%s; starting with version %s from the cache", error, version)
            self._metrics.poll_errors.inc()
            return version

    def _look(self, served: str) -> str:
        """Serve the version that the source names now; the one that is served afterwards."""
        try:
            version = self._source.current()
        except OFAError as error:
            self._metrics.poll_errors.inc()
            logger.warning("%s; version %s goes on", error, served)
            return served
        if version == served or (version == self._refused and time.monotonic() < self._retry):
            return served
        logger.info("version %s replaces %s: loading", version, served)
        try:
            self._switch(version)
        except Exception as error:  # a release that cannot be loaded must not end the one that works
            self._metrics.loads.labels("failed").inc()
            known = isinstance(error, OFAError)
            logger.error("cannot switch: %s; version %s goes on", error, served, exc_info=None if known else error)
            self._refused, self._retry = version, time.monotonic() + _RETRY * self._pause
            return served
        self._refused = None
        return version

    def _switch(self, version: str) -> None:
        started = time.perf_counter()
        model = self._source.load(version)
        model.warm()
        self._model = model
        self._metrics.loads.labels("ok").inc()
        seconds = round(time.perf_counter() - started, 2)
        logger.info(
            "serving version %s",
            model.version,
            extra=fields(source=model.source, seconds=seconds, can=list(model.skills)),
        )
