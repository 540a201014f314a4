"""Metrics with label values known beforehand, so that no stranger can add a time series."""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, product

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

OTHER = "other"
"""Stands for every label value that was not declared."""

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms: from one Kafka acknowledgement to one slow call."""

LONG_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0, 604_800.0)
"""Upper bounds where a person may be waited for: up to a week."""

Labels = Mapping[str, Sequence[str]]
"""Label names with every value each may have; `other` is added to them."""


class CounterOf(Collector):
    """Counts by declared label values.

    Like `Seconds`, a plain number without the lock and the checks of prometheus_client's own: the
    programs count on their event loop only, and a delivery pays for what is counted of it.
    """

    def __init__(self, name: str, meaning: str, labels: Labels) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._known = _known(labels)
        self._counted = dict.fromkeys(_all_values(labels), 0.0)
        self._made_at = time.time()

    def add(self, *values: str, by: float = 1.0) -> None:
        """Add to the series of these label values, given in the order they were declared."""
        if values not in self._counted:
            values = _declared(values, self._known)
        self._counted[values] += by

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give Prometheus every series, also those that nothing was counted in."""
        family = CounterMetricFamily(self._name, self._meaning, labels=list(self._labels))
        for values, number in self._counted.items():
            family.add_metric(values, number, created=self._made_at)
        yield family


class Seconds(Collector):
    """A histogram of durations."""

    def __init__(self, name: str, meaning: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._meaning = meaning
        self._bounds = tuple(bounds)
        self._counted = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self._counted[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give Prometheus how many durations were at most as long as each bound."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(self._counted)), strict=True))
        yield HistogramMetricFamily(self._name, self._meaning, buckets=buckets, sum_value=self._sum)


class _Gauges(Collector):
    """Gauges of one name whose values are read together."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Labels,
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        known = _known(self._labels)
        shown: dict[tuple[str, ...], float] = defaultdict(float)
        for values, number in self._read().items():
            shown[_declared(values, known)] += number
        family = GaugeMetricFamily(self._name, self._meaning, labels=list(self._labels))
        for values, number in shown.items():
            family.add_metric(values, number)
        yield family


class Metrics:
    """One program's metrics. Made in its `__main__` and handed to what counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def counter(self, name: str, meaning: str, labels: Labels | None = None) -> CounterOf:
        """Return a counter; an undeclared label value is counted as `other`."""
        counter = CounterOf(name, meaning, labels or {})
        self.registry.register(counter)
        return counter

    def seconds(self, name: str, meaning: str, buckets: Sequence[float] = SECONDS) -> Seconds:
        """Return a histogram of durations in seconds."""
        seconds = Seconds(name, meaning, buckets)
        self.registry.register(seconds)
        return seconds

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Register a value that is read whenever the metrics are rendered."""
        Gauge(name, meaning, registry=self.registry).set_function(read)

    def gauges(
        self,
        name: str,
        meaning: str,
        labels: Labels,
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        """Register values by label values, read whenever the metrics are rendered.

        Undeclared label values are added up as `other`; none is shown when nothing is read.
        """
        self.registry.register(_Gauges(name, meaning, labels, read))

    def render(self) -> bytes:
        """Return every metric in Prometheus' text format."""
        return generate_latest(self.registry)


def _all_values(labels: Labels) -> list[tuple[str, ...]]:
    return list(product(*((*dict.fromkeys((*values, OTHER)),) for values in labels.values())))


def _known(labels: Labels) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(values) for values in labels.values())


def _declared(values: tuple[str, ...], known: tuple[frozenset[str], ...]) -> tuple[str, ...]:
    pairs = zip(values, known, strict=True)
    return tuple(value if value in declared else OTHER for value, declared in pairs)
