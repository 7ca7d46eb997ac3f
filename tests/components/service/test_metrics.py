"""The page for Prometheus, as its own client reads it."""

from prometheus_client.parser import text_string_to_metric_families

from components.deploy.service.metrics import Metrics


def samples(metrics: Metrics) -> dict:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def test_numbers_of_the_moment_are_asked_for_when_the_page_is_made():
    metrics, values = Metrics(), {("1", "folder"): 1.0}
    metrics.gauge("ofa_model_info", "Now.", lambda: values, ("version", "source"))
    assert samples(metrics)["ofa_model_info", ("source", "folder"), ("version", "1")] == 1
    values.clear()
    values["2", 'a "b"\\\n'] = 1.0
    shown = [labels for name, *labels in samples(metrics) if name == "ofa_model_info"]
    assert shown == [[("source", 'a "b"\\\n'), ("version", "2")]], "what is gone is not shown any more"


def test_services_of_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.requests.labels("/api/caption", 200).inc()
    name = ("ofa_requests_total", ("route", "/api/caption"), ("status", "200"))
    assert samples(one)[name] == 1 and name not in samples(other)
