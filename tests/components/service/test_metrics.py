"""The text format of Prometheus."""

from components.deploy.service.metrics import Counter, Gauge, Histogram


def test_a_histogram_counts_below_each_bound():
    histogram = Histogram("seconds", "Time.", (0.1, 1.0), ("route",))
    for value in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(value, "/a")
    assert histogram.render().splitlines() == [
        "# HELP seconds Time.",
        "# TYPE seconds histogram",
        'seconds_bucket{route="/a",le="0.1"} 2.0',
        'seconds_bucket{route="/a",le="1.0"} 3.0',
        'seconds_bucket{route="/a",le="+Inf"} 4.0',
        'seconds_sum{route="/a"} 3.65',
        'seconds_count{route="/a"} 4.0',
    ]


def test_a_counter_is_exact_and_its_labels_are_escaped():
    counter = Counter("n_total", "Number.", ("what",))
    counter.add('a "b"\\\n', amount=12_345_678)
    counter.add('a "b"\\\n')
    assert counter.render().splitlines()[-1] == 'n_total{what="a \\"b\\"\\\\\\n"} 12345679.0'
    assert Counter("zero_total", "Nothing yet.").render().endswith("zero_total 0.0\n")


def test_a_gauge_is_asked_when_the_page_is_made():
    values = {(): 1.0}
    gauge = Gauge("waiting", "Now.", lambda: values)
    values[()] = 5.0
    assert gauge.render().endswith("\nwaiting 5.0\n")
