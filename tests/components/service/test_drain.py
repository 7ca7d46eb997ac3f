"""SIGTERM: every request that was taken is answered, while load balancers learn to send no more."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests


def test_nothing_is_lost(launch, models, pictures):
    server = launch(model=models, max_wait_ms=60_000, drain_delay_seconds=3)
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(server.ask, "ground", picture, text="the car") for picture in pictures[:15]]
        server.wait_until(lambda: server.metric("ofa_items_waiting") == 15)
        server.process.terminate()
        server.wait_until(lambda: server.get("/readyz").json() == {"status": "draining"})
        futures += [pool.submit(server.ask, "ground", picture, text="the car") for picture in pictures[15:20]]
        responses = [future.result() for future in futures]
    assert [response.status_code for response in responses] == [200] * 20
    assert [response.json()["results"][0]["width"] for response in responses] == [40 + n for n in range(20)]
    assert server.process.wait(30) == 0
    assert server.records()[-1]["message"] == "stopped"
    with pytest.raises(requests.ConnectionError):
        server.get("/healthz")
