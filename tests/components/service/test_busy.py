"""A full queue is said at once, a late answer is not waited for, and places become free again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.components.service.running import as_base64


@pytest.fixture(scope="module")
def slow(launch, models):
    """A server with two places, whose batches wait longer than a request may take."""
    return launch(model=models, max_queue=2, max_wait_ms=60_000, deadline_seconds=3, limits={"items": 2})


def test_two_wait_and_the_rest_is_refused(slow, pictures):
    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(lambda picture: slow.ask("caption", picture), pictures[:8]))
    statuses = [response.status_code for response in responses]
    assert sorted(statuses) == [429] * 6 + [504] * 2
    refused = responses[statuses.index(429)]
    assert refused.json()["code"] == "busy" and refused.headers["Retry-After"] == "1"
    assert refused.elapsed.total_seconds() < 2.9
    late = responses[statuses.index(504)]
    assert late.json()["error"] == "no answer within 3 seconds; try again later"
    slow.wait_until(lambda: slow.metric("ofa_items_admitted") == 0 and slow.metric("ofa_items_waiting") == 0)
    assert slow.metric('ofa_rejected_total{reason="busy"}') == 6


def test_every_item_of_a_request_needs_a_place(slow, pictures):
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow.ask, "caption", pictures[0])
        slow.wait_until(lambda: slow.metric("ofa_items_waiting") == 1)
        two = {"image": [as_base64(picture) for picture in pictures[:2]]}
        assert slow.post("/api/caption", json=two).status_code == 429
        assert first.result().status_code == 504
