"""A model that moves in the registry: loaded, warmed, switched to, with no request lost; failures keep the old one."""

import shutil
import socket
import time

import pytest

from components.deploy import registry
from components.deploy.bundle import load_bundle
from components.deploy.service.keeper import Keeper
from components.deploy.service.metrics import Metrics
from components.deploy.service.models import load_model
from components.deploy.service.operations import OPERATIONS
from components.deploy.service.settings import ServiceSettings
from components.deploy.service.sources import source
from ofa.data.images import open_image
from ofa.errors import OFAError


@pytest.fixture
def keep(tmp_path, store):
    """A function from settings to a keeper that has begun, its metrics, and a list of fatal errors."""
    keepers = []

    def start(**settings):
        chosen = {"registry": store.uri, "cache": str(tmp_path / "cache"), "poll_seconds": 0.1} | settings
        metrics, errors = Metrics(), []
        keeper = Keeper(source(ServiceSettings(**chosen)), chosen["poll_seconds"], metrics, errors.append)
        keepers.append(keeper)
        keeper.start()
        return keeper, metrics, errors

    yield start
    for keeper in keepers:
        keeper.stop()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_no_request_is_lost_when_the_champion_moves(launch, store, releases, pictures):
    server = launch(model="models:/ofa@champion", registry=store.uri, poll_seconds=0.2)
    description = server.get("/api/model").json()
    assert (description["version"], description["source"]) == ("1", "models:/ofa@champion")
    assert description["operations"][0]["metric"] == "CIDEr" and description["operations"][0]["interval"] == [1, 2]
    models = {n: load_model(releases / n, "") for n in "12"}
    [caption] = [operation for operation in OPERATIONS if operation.name == "caption"]
    answers = []
    store.set_alias("champion", "2")
    while sum(version == "2" for version, _, _ in answers) < 10:
        number = len(answers) % 100
        response = server.ask("caption", pictures[number])
        assert response.status_code == 200
        answers.append((response.json()["model"]["version"], number, response.json()["results"][0]))
    versions = [version for version, _, _ in answers]
    assert versions == sorted(versions), "once switched, it stays"
    for version, number, result in answers[:5] + answers[-5:]:
        skill = models[version].skill(caption)
        [prediction] = skill.predict([skill.sample(open_image(pictures[number]), None)])
        assert result["caption"] == prediction.value
    assert len({result["caption"] for version, _, result in answers if version == "2"}) >= 1
    kept = sorted(path.name for path in (server.log.parent / "cache" / "ofa").iterdir())
    assert kept == ["1", "2"]


def test_a_broken_version_is_not_switched_to(keep, store):
    keeper, metrics, _ = keep()
    until(lambda: keeper.ready)
    store.set_alias("champion", "3")
    until(lambda: metrics.registry.get_sample_value("ofa_model_loads_total", {"result": "failed"}) == 1)
    assert keeper.model.version == "1"
    store.set_alias("champion", "2")
    until(lambda: keeper.model.version == "2")


def test_a_registry_that_is_gone_changes_nothing(keep, store, tmp_path):
    keeper, metrics, _ = keep()
    until(lambda: keeper.ready)
    store.drop_alias("champion")
    until(lambda: metrics.registry.get_sample_value("ofa_registry_errors_total") > 0)
    assert keeper.model.version == "1"


def test_it_starts_from_the_cache_when_the_registry_is_down(keep, monkeypatch):
    keeper, _, _ = keep()
    until(lambda: keeper.ready)
    keeper.stop()
    monkeypatch.setattr(registry, "RETRIES", (0.0,))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    again, metrics, _ = keep(registry=address)
    until(lambda: again.ready)
    assert again.model.version == "1"


def test_the_cache_is_not_believed_when_it_holds_another_model(keep, store, releases, tmp_path):
    """The same number in another registry is another model."""
    shutil.copytree(releases / "2", tmp_path / "cache" / "ofa" / "1")
    keeper, _, _ = keep()
    until(lambda: keeper.ready)
    content = load_bundle(tmp_path / "cache" / "ofa" / "1")
    assert content.sha256 == load_bundle(releases / "1").sha256


def test_a_first_model_that_is_missing_is_fatal(keep, store):
    store.drop_alias("champion")
    _, _, errors = keep()
    until(lambda: errors)
    assert isinstance(errors[0], OFAError) and "no version of model 'ofa' is champion; promote one" in str(errors[0])


def test_one_version_by_its_number(keep, store):
    keeper, _, _ = keep(model="models:/ofa/2")
    until(lambda: keeper.ready)
    assert keeper.model.version == "2" and keeper.model.source == "models:/ofa/2"
    _, _, errors = keep(model="models:/ofa/9")
    until(lambda: errors)
    assert "no version 9 of model 'ofa'" in str(errors[0])


def test_the_process_ends_with_the_reason(launch, tmp_path):
    server = launch(ready=False, model=tmp_path / "nothing")
    assert server.process.wait(60) != 0
    assert "nothing: no such model; name a checkpoint" in server.log.read_text().splitlines()[-1]


def test_an_address_that_is_none():
    with pytest.raises(OFAError, match="models:/NAME@ALIAS or models:/NAME/NUMBER"):
        source(ServiceSettings(model="models:ofa"))
