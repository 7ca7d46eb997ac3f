"""Operations beyond the three of the small pipeline: regions, classes, painting, headlines, instructions."""

import base64
import dataclasses
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from ofa import OFA
from ofa.data.images import open_image
from ofa.paint import Painter
from ofa.tasks.instruction import Reply
from tests.components.service.running import as_base64

LABELS = ["cat", "dog", "car"]


@pytest.fixture(scope="module")
def server(launch, versatile):
    return launch(model=versatile, limits={"article_characters": 900})


@pytest.fixture(scope="module")
def model(versatile):
    return OFA.from_pretrained(versatile, "cpu")


def ask(server, operation, **fields):
    response = server.post(f"/api/{operation}", json=fields)
    assert response.status_code == 200, response.text
    [result] = response.json()["results"]
    return result


def test_it_offers_what_the_network_learned(server):
    offered = {o["name"]: o for o in server.get("/api/model").json()["operations"]}
    assert list(offered) == ["caption", "answer", "ground", "region", "classify", "paint", "summarize", "instruct"]
    assert {name: o["image"] for name, o in offered.items() if o["image"] != "needed"} == {
        "paint": "none", "summarize": "none", "instruct": "possible"
    }  # fmt: skip
    assert [name for name, o in offered.items() if o["box"]] == ["region"]
    assert [name for name, o in offered.items() if o["candidates"]] == ["answer", "classify"]


def test_a_region_is_described_as_by_the_network(server, model, pictures):
    found = []
    for box in ((0, 0, 20, 60), (10.5, 70, 40, 139)):
        row = {"image": open_image(pictures[0]), "box": ",".join(map(str, box))}
        [expected] = model.predict(model.task("region_caption"), [row])
        forms = [list(box), row["box"], dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))]
        results = [ask(server, "region", image=as_base64(pictures[0]), box=form) for form in forms]
        assert all(result["text"] == expected.value for result in results)
        assert [result["score"] for result in results] == pytest.approx([expected.score] * 3, abs=2e-4)
        found.append(expected.score)
    assert abs(found[0] - found[1]) > 1e-3, "the place matters"
    two = server.post("/api/region", json={"image": as_base64(pictures[0]), "box": [[0, 0, 9, 9], [0, 0, 30, 30]]})
    assert len(two.json()["results"]) == 2


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([0, 0, 50, 9], "the box (0.0, 0.0, 50.0, 9.0) is not inside the picture of 40 x 139 pixels"),
        ([9, 0, 9, 9], "the box [9, 0, 9, 9] must be x0,y0,x1,y1 in pixels, x1 above x0 and y1 above y0"),
        ("here", "the box 'here' must be x0,y0,x1,y1 in pixels, x1 above x0 and y1 above y0"),
        ([1, 2, "x"], "the box 1 must be x0,y0,x1,y1 in pixels, x1 above x0 and y1 above y0"),
        (None, "the field 'box' is missing"),
    ],
)
def test_a_wrong_box(server, pictures, box, reason):
    response = server.post("/api/region", json={"image": as_base64(pictures[0]), "box": box})
    assert response.status_code == 400 and response.json()["error"] == reason


def test_classes_are_ranked(server, model, pictures):
    result = ask(server, "classify", image=as_base64(pictures[0]), candidates=LABELS)
    assert result["label"] == model.classify(open_image(pictures[0]), LABELS)[0]
    assert {result["label"], *(other["label"] for other in result["alternatives"])} == set(LABELS)
    scores = [result["score"], *(other["score"] for other in result["alternatives"])]
    assert np.exp(scores).sum() == pytest.approx(1, abs=1e-3)


def painted(found):
    """The pixels of a painting."""
    head, _, content = found["picture"].partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(open_image(base64.b64decode(content)), dtype=int)


def are_alike(one, other):
    """Whether pixels are the same but for rounding: networks round otherwise in larger batches."""
    return one.shape == other.shape and np.abs(one - other).max() <= 1


def test_a_painting_is_what_the_vqgan_makes_of_codes(server, model):
    """The codes are those that the library draws with the same seed."""
    shown = []
    for seed in range(3):
        [drawn] = model.predict(model.task("image_gen"), [{"caption": "a cat"}], seed=seed)
        codes = [drawn.value, *(codes for codes, _ in drawn.alternatives)]
        known = [np.asarray(picture, dtype=int) for picture in Painter(model.vqgan).pictures(codes)]
        result = ask(server, "paint", text="a cat", seed=seed)
        assert len(result["alternatives"]) == 3 and "width" not in result
        for found in [result, *result["alternatives"]]:
            pixels = painted(found)
            assert pixels.shape == (32, 32, 3) and any(are_alike(pixels, other) for other in known)
            shown.append(found["picture"])
    assert len(set(shown)) == len(shown), "seeds differ in what they draw"


def test_a_seed_paints_the_same_whatever_else_is_painted(server, model):
    """Alone, in one request with others, and beside the requests of others; it is what the library paints."""
    texts, seeds = ["a cat", "a red ball", "a cat", "the house"] * 3, list(range(12))
    expected = [ask(server, "paint", text=text, seed=seed) for text, seed in zip(texts, seeds, strict=True)]
    assert len({result["picture"] for result in expected}) == 12 and [r["seed"] for r in expected] == seeds
    for text, seed, result in zip(texts, seeds, expected, strict=True):
        [picture] = model.paint(text, scorer=model.caption_scores, seed=seed)
        assert are_alike(painted(result), np.asarray(picture, dtype=int))

    with ThreadPoolExecutor(12) as pool:
        beside = list(pool.map(lambda text, seed: ask(server, "paint", text=text, seed=str(seed)), texts, seeds))
    together = server.post("/api/paint", json={"text": texts, "seed": seeds}).json()["results"]
    instances = [{"task": "paint", "text": text, "seed": seed} for text, seed in zip(texts, seeds, strict=True)]
    v1 = server.post("/v1/models/ofa:predict", json={"instances": instances}).json()["predictions"]
    assert server.metric("ofa_batch_size_count") < server.metric("ofa_batch_size_sum"), "there were batches"
    for results in (beside, together, v1):
        assert [result["picture"] for result in results] == [result["picture"] for result in expected]
        assert [result["seed"] for result in results] == seeds


def test_a_seed_that_nobody_chose_is_said(server):
    results = server.post("/api/paint", json={"text": ["a cat"] * 4}).json()["results"]
    assert len({result["seed"] for result in results}) == 4
    assert ask(server, "paint", text="a cat", seed=results[2]["seed"]) == results[2]


@pytest.mark.parametrize("seed", [-1, 1.5, True, "one", 1 << 32, "9" * 5000])
def test_a_wrong_seed(server, seed):
    response = server.post("/api/paint", json={"text": ["a", "b", "c"], "seed": seed})
    assert response.status_code == 400
    assert response.json()["error"] == "the seed must be a whole number from 0 to 4294967295"


def test_seeds_for_some_of_the_texts(server):
    response = server.post("/api/paint", json={"text": ["a", "b", "c"], "seed": [1, 2]})
    assert response.status_code == 400
    assert response.json()["error"] == "3 texts and 2 seeds: send as many of each, or one of either"


def test_where_a_network_captions_it_chooses_the_painting(server, model):
    result = ask(server, "paint", text="a cat")
    pictures = [
        open_image(base64.b64decode(found["picture"].partition(",")[2])) for found in [result, *result["alternatives"]]
    ]
    scores = model.caption_scores(pictures, "a cat")
    assert scores == pytest.approx([result["score"], *(a["score"] for a in result["alternatives"])], abs=1e-3)
    assert scores == sorted(scores, reverse=True)


def test_a_text_becomes_a_headline(server, model):
    article = "the cat of the house on the red ball . " * 20
    assert ask(server, "summarize", text=article)["summary"] == model.summarize(article)[0]
    response = server.post("/api/summarize", json={"text": "x" * 901})
    assert response.json()["error"] == "the text has 901 characters, more than 900"
    response = server.post("/api/summarize", json={"text": "a", "image": "x"})
    assert response.json()["error"] == "unknown field 'image'; summarize takes text"


def test_an_instruction_with_and_without_a_picture(server, model, pictures):
    text, rows = "what does the image describe?", [{}, {"image": open_image(pictures[0])}]
    for row, fields in zip(rows, ({}, {"image": as_base64(pictures[0])}), strict=True):
        [expected] = model.predict(model.task("instruction"), [row | {"text": text}])
        result = ask(server, "instruct", text=text, **fields)
        assert isinstance(expected.value, Reply) and result["reply"]["text"] == expected.value.text
        assert len(result["reply"]["boxes"]) == len(expected.value.boxes)
        assert result["score"] == pytest.approx(expected.score, abs=2e-4) and ("width" in result) == ("image" in row)


def test_the_protocols_take_them_too(server, pictures):
    instances = [
        {"task": "region", "image": as_base64(pictures[0]), "box": [0, 0, 20, 60]},
        {"task": "paint", "text": "a cat"},
    ]
    region, painting = server.post("/v1/models/ofa:predict", json={"instances": instances}).json()["predictions"]
    assert region["text"] == ask(server, "region", image=as_base64(pictures[0]), box=[0, 0, 20, 60])["text"]
    assert painting["picture"].startswith("data:image/png")
    columns = {"task": ["region", "instruct"], "image": [as_base64(pictures[0]), ""]}
    columns |= {"text": ["", "what?"], "box": ["0,0,20,60", ""]}
    inputs = [{"name": n, "shape": [2], "datatype": "BYTES", "data": values} for n, values in columns.items()]
    [prediction, _] = server.post("/v2/models/ofa/infer", json={"inputs": inputs}).json()["outputs"]
    assert prediction["data"][0] == region["text"] and set(json.loads(prediction["data"][1])) == {"text", "boxes"}


def test_the_documentation_says_what_goes_in(server):
    paths = server.get("/openapi.json").json()["paths"]
    forms = {
        name: paths[f"/api/{name}"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        for name in ("region", "paint", "instruct", "summarize")
    }
    assert {name: form["required"] for name, form in forms.items()} == {
        "region": ["image", "box"], "paint": ["text"], "instruct": ["text"], "summarize": ["text"]
    }  # fmt: skip
    assert set(forms["instruct"]["properties"]) == {"image", "text"}
    assert forms["summarize"]["properties"]["text"]["maxLength"] == 900


def test_without_a_vqgan_nothing_is_painted(model, tmp_path):
    from components.deploy.service.models import load_model

    OFA(model.net, {"image_gen": {"code_image_size": 16}, "caption": {}}, "cpu").save_pretrained(tmp_path / "net")
    assert list(load_model(tmp_path / "net", "").skills) == ["caption"]


def test_a_network_that_says_nothing_of_its_training_is_asked_for_all_that_it_reads(model, tmp_path):
    from components.deploy.service.models import load_model
    from ofa.checkpoint import save_folder

    save_folder(tmp_path / "net", model.net)
    plain = ["caption", "answer", "ground", "region", "classify", "detect", "summarize", "instruct"]
    assert list(load_model(tmp_path / "net", "").skills) == plain
    assert torch.is_tensor(model.net.output_ids)


def test_a_folder_of_networks_is_asked_what_each_learned(versatile, models, tmp_path):
    """The one named after the task answers, else the first that learned it."""
    from components.deploy.service.models import load_model

    shutil.copytree(versatile, tmp_path / "all" / "pretrain")
    shutil.copytree(models / "caption", tmp_path / "all" / "caption")
    found = load_model(tmp_path / "all", "")
    assert list(found.skills) == list(load_model(versatile, "").skills)
    assert found.skills["caption"].ofa is not found.skills["answer"].ofa is found.skills["region"].ofa
    assert found.version != load_model(versatile, "").version


def test_a_release_with_a_network_of_pretraining_describes_regions(versatile, tmp_path):
    from components.deploy.bundle import BUNDLE, Bundle, Member
    from components.deploy.service.models import load_model
    from components.lineage import checkpoint_hash

    shutil.copytree(versatile, tmp_path / "vision_language")
    digest, _ = checkpoint_hash(versatile)
    known = {"table_sha256": "d" * 64, "metric": "exact_match", "score": 0.5, "interval": (0, 1), "search": {"beam": 2}}
    content = Bundle(
        tasks={"vision_language": Member(checkpoint_sha256=digest, **known)}, git_commit=None, params_sha256=None
    )
    (tmp_path / BUNDLE).write_text(json.dumps(dataclasses.asdict(content)))
    found = load_model(tmp_path, "")
    assert list(found.skills) == ["region", "instruct"] and found.scores == {}
    assert found.skills["region"].task.settings.patch_image_size == 32
    found.warm()
