"""The plain API: forms and JSON, one picture or several, what comes back."""

import math

import pytest
from PIL import Image

from tests.components.service.conftest import WORDS
from tests.components.service.running import as_base64, as_file


def test_a_form(server, pictures):
    body = server.ask("answer", pictures[0], question="what is it?").json()
    [result] = body["results"]
    assert result["answer"] in WORDS.split() and 0 < math.exp(result["score"]) <= 1
    assert (result["width"], result["height"]) == (40, 139)
    others = result["alternatives"]
    assert [other["score"] for other in others] == sorted((o["score"] for o in others), reverse=True)
    assert result["answer"] not in [other["answer"] for other in others]
    assert body["model"]["name"] == "ofa" and body["milliseconds"] > 0 and body["request_id"]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_json_answers_as_a_form_does(server, pictures, prefix):
    form = server.ask("caption", pictures[1]).json()["results"]
    body = server.post("/api/caption", json={"image": prefix + as_base64(pictures[1])}).json()
    assert body["results"][0]["caption"] == form[0]["caption"]


def test_several_pictures_and_several_questions(server, pictures):
    three = [as_base64(picture) for picture in pictures[:3]]
    body = server.post("/api/ground", json={"image": three, "text": "the car"}).json()
    assert [result["width"] for result in body["results"]] == [40, 41, 42]
    one = server.post("/api/answer", json={"image": three[0], "question": ["a?", "b?"]}).json()
    assert len(one["results"]) == 2
    files = [("image", picture) for picture in pictures[:2]]
    pairs = server.post("/api/ground", files=files, data={"text": ["the car", "the cat"]}).json()
    assert [result["width"] for result in pairs["results"]] == [40, 41]
    wrong = server.post("/api/ground", json={"image": three, "text": ["a", "b"]})
    assert wrong.status_code == 400
    assert wrong.json()["error"] == "3 pictures and 2 texts: send as many of each, or one of either"


def test_candidates_are_the_only_answers(server, pictures):
    body = server.ask("answer", pictures[0], question="what is it?", candidates=["cat", "dog"]).json()
    [result] = body["results"]
    assert {result["answer"], *(other["answer"] for other in result["alternatives"])} == {"cat", "dog"}
    refused = server.ask("ground", pictures[0], text="the cat", candidates="cat")
    assert refused.json()["error"] == "unknown field 'candidates'; ground takes image, text"


def test_boxes_refer_to_the_upright_picture(server):
    """A camera's orientation (EXIF) is applied, as every viewer does."""
    image = Image.new("RGB", (90, 60), "red")
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    [result] = server.ask("ground", as_file(image, "JPEG", exif=exif), text="the cat").json()["results"]
    assert (result["width"], result["height"]) == (60, 90)


def test_what_the_model_can_do(server, models):
    body = server.get("/api/model").json()
    assert [operation["name"] for operation in body["operations"]] == ["caption", "answer", "ground"]
    assert [operation["text"] for operation in body["operations"]] == [None, "question", "text"]
    assert body["source"] == str(models) and len(body["version"]) == 12
    assert body["limits"]["items"] == 16


def test_what_it_cannot_do(server, pictures):
    response = server.ask("detect", pictures[0])
    assert response.status_code == 404
    assert response.json()["error"] == "this model cannot detect; it can caption, answer, ground"
    assert server.post("/api/paint", json={"text": "a cat"}).json()["code"] == "not_found"
    assert server.ask("sing", pictures[0]).json()["error"].startswith("no operation 'sing'")
    assert server.get("/nothing").json()["error"] == "there is nothing at /nothing"
    assert server.get("/api/caption").status_code == 405


def test_health_and_metrics(server, pictures):
    assert server.get("/healthz").json() == {"status": "alive"}
    assert server.get("/readyz").json() == {"status": "ready"}
    before = server.metric("ofa_items_total")
    server.ask("caption", pictures[0])
    assert server.metric("ofa_items_total") == before + 1
    assert server.metric("ofa_ready") == 1 and server.metric("ofa_items_admitted") == 0


def test_the_documentation_names_every_operation(server):
    paths = server.get("/openapi.json").json()["paths"]
    body = paths["/api/answer"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert set(body["multipart/form-data"]["schema"]["properties"]) == {"image", "question", "candidates"}
    assert {"/api/caption", "/api/ground", "/v1/models/{model}:predict", "/v2/models/{model}/infer"} <= set(paths)


def test_a_request_is_logged_under_its_id(server, pictures):
    response = server.post("/api/caption", files={"image": pictures[0]}, headers={"X-Request-ID": "order-66"})
    assert response.headers["X-Request-ID"] == response.json()["request_id"] == "order-66"
    server.wait_until(lambda: server.records()[-1].get("request_id") == "order-66")
    record = server.records()[-1]
    assert (record["method"], record["path"], record["status"]) == ("POST", "/api/caption", 200)
    assert record["version"] == response.json()["model"]["version"] and record["ms"] > 0
    forged = server.get("/healthz", headers={"X-Request-ID": 'x" y'})
    assert len(forged.headers["X-Request-ID"]) == 32
