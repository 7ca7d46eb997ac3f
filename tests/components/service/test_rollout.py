"""Rolling out waits for the running service; one that does not switch in time loses its new champion again."""

import threading

import pytest

from components.deploy.rollout import roll_out
from ofa.errors import OFAError


def test_a_service_that_follows_the_champion_switches(launch, store):
    server = launch(model="models:/ofa@champion", registry=store.uri, poll_seconds=0.1)
    served = []
    watch = threading.Thread(target=lambda: roll_out("2", server.url, store.uri, timeout=60, pause=0.1))
    store.set_alias("previous", "1")
    store.set_alias("champion", "2")
    watch.start()
    watch.join(60)
    served = server.get("/v2/models/ofa").json()["versions"]
    assert served == ["2"] and not watch.is_alive()
    assert store.alias("champion").number == "2"

    store.set_alias("previous", "2")
    store.set_alias("champion", "3")  # its weights are cut off: the service keeps version 2
    with pytest.raises(OFAError, match="still serves version 2 1 s after version 3 became .* back to version 2"):
        roll_out("3", server.url, store.uri, timeout=1, pause=0.1)
    assert store.alias("champion").number == "2" and store.alias("previous").number == "3"


def test_a_service_that_is_not_there_rolls_back(store):
    store.set_alias("previous", "2")
    with pytest.raises(OFAError, match="does not answer .* rolled back to version 2"):
        roll_out("1", "http://127.0.0.1:9", store.uri, timeout=0.2, pause=0.1)
    assert store.alias("champion").number == "2"


def test_only_the_champion_is_rolled_out(store):
    with pytest.raises(OFAError, match="version 2 is not the champion"):
        roll_out("2", "http://127.0.0.1:9", store.uri)
