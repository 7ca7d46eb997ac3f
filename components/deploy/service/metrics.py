"""Numbers for Prometheus, in its text format 0.0.4."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metric:
    """A named family of numbers, one for each combination of label values. Safe in many threads."""

    kind = "untyped"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()):
        self.name, self.help, self.labels = name, help, tuple(labels)
        self._lock = threading.Lock()

    def render(self) -> str:
        """Its lines of the page."""
        head = f"# HELP {self.name} {_escape(self.help)}\n# TYPE {self.name} {self.kind}\n"
        with self._lock:
            return head + "".join(
                f"{name}{_braces(labels)} {float(value)!r}\n" for name, labels, value in self._samples()
            )

    def _samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        raise NotImplementedError

    def _named(self, key: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(self.labels, key, strict=True))


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()):
        super().__init__(name, help, labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Count, under these values of the labels."""
        with self._lock:
            self._values[labels] = self._values.get(labels, 0.0) + amount

    def _samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        for key, value in sorted(self._values.items()):
            yield self.name, self._named(key), value


class Gauge(Metric):
    """A number of the moment, asked for when the page is made: label values -> number."""

    kind = "gauge"

    def __init__(
        self, name: str, help: str, read: Callable[[], dict[tuple[str, ...], float]], labels: Sequence[str] = ()
    ):
        super().__init__(name, help, labels)
        self._read = read

    def _samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        for key, value in sorted(self._read().items()):
            yield self.name, self._named(key), value


class Histogram(Metric):
    """How often values fall below each of some bounds."""

    kind = "histogram"

    def __init__(self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str] = ()):
        super().__init__(name, help, labels)
        self.bounds = tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count a value, under these values of the labels."""
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(self.bounds) + 1))
            counts[bisect_left(self.bounds, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def _samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        for key, counts in sorted(self._counts.items()):
            total, labels = 0, self._named(key)
            for bound, count in zip((*self.bounds, "+Inf"), counts, strict=True):
                total += count
                yield f"{self.name}_bucket", labels | {"le": f"{bound}"}, total
            yield f"{self.name}_sum", labels, self._sums[key]
            yield f"{self.name}_count", labels, total


class Metrics:
    """What the service counts about itself."""

    def __init__(self) -> None:
        self.requests = Counter("ofa_requests_total", "Requests by route and status.", ("route", "status"))
        self.request_seconds = Histogram("ofa_request_seconds", "Time to answer.", SECONDS, ("route",))
        self.rejected = Counter("ofa_rejected_total", "Requests that were refused, by reason.", ("reason",))
        self.items = Counter("ofa_items_total", "Items answered, by operation.", ("operation",))
        self.batch_size = Histogram("ofa_batch_size", "Items computed together.", SIZES, ("operation",))
        self.batch_seconds = Histogram("ofa_batch_seconds", "Time of a computation.", SECONDS, ("operation",))
        self.reloads = Counter("ofa_model_loads_total", "Models loaded, by result.", ("result",))
        self.poll_errors = Counter("ofa_registry_errors_total", "Times that the registry did not answer.")
        self._all: list[Metric] = [metric for metric in vars(self).values() if isinstance(metric, Metric)]

    def gauge(
        self, name: str, help: str, read: Callable[[], dict[tuple[str, ...], float]], labels: Sequence[str] = ()
    ) -> None:
        """Add a number of the moment."""
        self._all.append(Gauge(name, help, read, labels))

    def render(self) -> str:
        """The page."""
        return "".join(metric.render() for metric in self._all)


def _braces(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
