"""KServe's inference protocols, v1 and v2."""

import json

import pytest

from tests.components.service.running import as_base64


@pytest.fixture(scope="module")
def images(pictures):
    return [as_base64(picture) for picture in pictures[:2]]


def tensor(name, data, **fields):
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data} | fields


def test_v1(server, images, pictures):
    assert server.get("/v1/models").json() == {"models": ["ofa"]}
    assert server.get("/v1/models/ofa").json() == {"name": "ofa", "ready": True}
    instances = [
        {"task": "caption", "image": {"b64": images[0]}},
        {"task": "refcoco", "image": images[1], "text": "the car"},
        {"task": "answer", "image": images[0], "text": "what?", "candidates": ["cat"]},
    ]
    response = server.post("/v1/models/ofa:predict", json={"instances": instances})
    caption, box, answer = response.json()["predictions"]
    assert caption["caption"] == server.ask("caption", pictures[0]).json()["results"][0]["caption"]
    assert box["task"] == "ground" and set(box["box"]) == {"x0", "y0", "x1", "y1"}
    assert answer["answer"] == "cat" and answer["score"] == pytest.approx(0, abs=1e-5)


def test_v2(server, images, pictures):
    assert server.get("/v2/health/live").json() == {"live": True}
    assert server.get("/v2/health/ready").json() == {"ready": True}
    model = server.get("/v2/models/ofa").json()
    assert [entry["name"] for entry in model["inputs"]] == ["task", "image", "text", "box", "seed"]
    [version] = model["versions"]
    inputs = [tensor("task", ["caption", "ground"]), tensor("image", images), tensor("text", ["", "the car"])]
    body = server.post("/v2/models/ofa/infer", json={"id": "7", "inputs": inputs}).json()
    assert (body["model_name"], body["model_version"], body["id"]) == ("ofa", version, "7")
    prediction, score = body["outputs"]
    assert (prediction["name"], prediction["datatype"], prediction["shape"]) == ("prediction", "BYTES", [2])
    assert (score["name"], score["datatype"], score["shape"]) == ("score", "FP64", [2])
    assert prediction["data"][0] == server.ask("caption", pictures[0]).json()["results"][0]["caption"]
    assert set(json.loads(prediction["data"][1])) == {"x0", "y0", "x1", "y1"}


def test_v2_with_a_version_and_chosen_outputs(server, images):
    [version] = server.get("/v2/models/ofa").json()["versions"]
    request = {
        "inputs": [tensor("task", [["caption"]], shape=[1, 1]), tensor("image", [images[0]])],
        "outputs": [{"name": "score"}],
    }
    body = server.post(f"/v2/models/ofa/versions/{version}/infer", json=request).json()
    assert [output["name"] for output in body["outputs"]] == ["score"] and "id" not in body
    assert server.post("/v2/models/ofa/versions/0/infer", json=request).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("/v1/models/other:predict", {"instances": []}, "no model 'other'"),
        ("/v1/models/ofa:predict", {"inputs": []}, "'instances' must be a list of objects"),
        ("/v1/models/ofa:predict", {"instances": []}, "0 items in one request, it must be 1 to 16"),
        ("/v1/models/ofa:predict", {"instances": [{"task": "caption"}]}, "instance 0: 'image' is missing"),
        ("/v1/models/ofa:predict", {"instances": [{"task": "cap", "image": "x"}]}, "no operation 'cap'"),
        ("/v1/models/ofa:predict", {"instances": [{"task": "caption", "image": "?"}]}, "instance 0: cannot use the"),
        ("/v1/models/ofa:predict", {"instances": [{"task": "vqa", "img": "?"}]}, "instance 0: unknown key 'img'"),
        ("/v2/models/ofa/infer", {"inputs": [tensor("task", ["caption"])]}, "row 0: 'image' is missing"),
        ("/v2/models/ofa/infer", {"inputs": [tensor("task", ["a"], shape=[2])]}, "input 'task' has 1 values"),
        ("/v2/models/ofa/infer", {"inputs": [tensor("x", ["a"])]}, "unknown input 'x'"),
        ("/v2/models/ofa/infer", {"inputs": [tensor("task", [1])]}, "input 'task' must hold strings"),
        ("/v2/models/ofa/infer", {"inputs": [tensor("task", ["a"]), tensor("image", ["a", "b"])]}, "must have one"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(server, path, body, problem):
    response = server.post(path, json=body)
    assert response.status_code in (400, 404) and problem in response.json()["error"]
