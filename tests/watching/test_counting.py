"""Our own counters and histograms, as Prometheus reads them."""

from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.cloudevents import present_moment
from services.metrics import SECONDS, Metrics


def exposed(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_what_is_counted_is_shown_by_its_labels() -> None:
    metrics = Metrics()
    counter = metrics.counter("seen", "Seen.", {"side": ("left", "right"), "how": ("well",)})
    counter.add("left", "well")
    counter.add("left", "well", by=2)
    shown = exposed(metrics)
    assert shown["seen_total", "well,left"] == 3
    assert shown["seen_total", "well,right"] == 0


def test_a_value_nobody_declared_is_another() -> None:
    metrics = Metrics()
    metrics.counter("seen", "Seen.", {"side": ("left",)}).add("of a stranger")
    assert exposed(metrics)["seen_total", "other"] == 1


def test_a_counter_without_labels_counts() -> None:
    metrics = Metrics()
    metrics.counter("seen", "Seen.").add()
    assert exposed(metrics)["seen_total", ""] == 1


def test_labels_that_are_not_the_declared_ones_are_a_fault() -> None:
    counter = Metrics().counter("seen", "Seen.", {"side": ("left",)})
    with pytest.raises(ValueError, match="zip"):
        counter.add()


def test_a_duration_counts_in_every_bucket_that_it_fits_into() -> None:
    metrics = Metrics()
    took = metrics.seconds("took", "Took.")
    for seconds in (SECONDS[0], 0.003, SECONDS[-1] + 1):
        took.observe(seconds)
    shown = exposed(metrics)
    assert shown["took_bucket", "0.002"] == 1  # a bound holds what equals it
    assert shown["took_bucket", "0.005"] == 2
    assert shown["took_bucket", "60.0"] == 2
    assert shown["took_bucket", "+Inf"] == shown["took_count", ""] == 3
    assert shown["took_sum", ""] == pytest.approx(61.005)


def test_the_present_moment_is_written_as_python_writes_it() -> None:
    before = datetime.now(UTC)
    written = datetime.fromisoformat(present_moment().decode())
    assert before <= written <= datetime.now(UTC)
    assert len(present_moment()) == len("2026-11-24T08:15:30.123456+00:00")
