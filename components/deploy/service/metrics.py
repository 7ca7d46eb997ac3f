"""What the service counts about itself, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)

Read = Callable[[], Mapping[tuple[str, ...], float]]
"""Gives the numbers of the moment by their label values."""


class Metrics:
    """The numbers of one service; several services of a process have their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter("ofa_requests_total", "Requests by route and status.", ("route", "status"), **own)
        self.request_seconds = Histogram("ofa_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, **own)
        self.rejected = Counter("ofa_rejected_total", "Requests that were refused, by reason.", ("reason",), **own)
        self.items = Counter("ofa_items_total", "Items answered, by operation.", ("operation",), **own)
        self.batch_size = Histogram("ofa_batch_size", "Items computed together.", ("operation",), buckets=SIZES, **own)
        self.batch_seconds = Histogram(
            "ofa_batch_seconds", "Time of a computation.", ("operation",), buckets=SECONDS, **own
        )
        self.loads = Counter("ofa_model_loads_total", "Models loaded, by result.", ("result",), **own)
        self.poll_errors = Counter("ofa_registry_errors_total", "Times that the registry did not answer.", **own)

    def gauge(self, name: str, help: str, read: Read, labels: Sequence[str] = ()) -> None:
        """Add a number of the moment, asked for when the page is made."""
        self.registry.register(_Moment(name, help, read, labels))

    def render(self) -> bytes:
        """The page, in the text format 0.0.4."""
        return generate_latest(self.registry)


class _Moment(Collector):
    """A gauge whose labels come and go."""

    def __init__(self, name: str, help: str, read: Read, labels: Sequence[str]):
        self._name, self._help, self._read, self._labels = name, help, read, labels

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._help, labels=self._labels)
        for values, number in self._read().items():
            family.add_metric(values, number)
        yield family
