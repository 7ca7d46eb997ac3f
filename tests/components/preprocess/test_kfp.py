"""The data steps run as a KFP pipeline in this process's environment."""

import json

from kfp import dsl

from components.preprocess.kfp import build_shards, build_tables, describe_tables, fetch_data, validate_data


def test_the_data_steps_run_as_a_pipeline(kfp_here):
    settings = {"captions_per_image": 2, "answers": 0, "answer_splits": ["train", "val"], "processes": 1}

    @dsl.pipeline
    def data():
        raw = fetch_data(settings={"scenes": {"train": 6, "val": 2, "test": 0, "test_pairs": 0}})
        validated = validate_data(raw=raw.outputs["raw"], settings={"image_rate": 1.0})
        inputs = {"raw": raw.outputs["raw"], "validated": validated.outputs["validated"], "settings": settings}
        with dsl.ParallelFor([0, 1]) as number:
            part = build_shards(number=number, numbers=[0, 1], **inputs)
        built = build_tables(parts=dsl.Collected(part.outputs["part"]), **inputs)
        describe_tables(tables=built.outputs["tables"], examples=1)

    data()
    (statistics,) = kfp_here.rglob("statistics.json")
    found = json.loads(statistics.read_text())
    assert found["tables"]["caption_train"]["statistics"]["rows"] == 12
    assert found["data"]["source"] == "scenes"
    given = [
        entry["multiple_choice_answer"]
        for split in ("train", "val")
        for path in kfp_here.rglob(f"vqa/annotations_{split}.json")
        for entry in json.loads(path.read_text())["annotations"]
    ]
    assert sorted(json.loads(statistics.with_name("answers.json").read_text())) == sorted(set(given))
    parts = [json.loads(path.read_text()) for path in kfp_here.rglob("part.json")]
    assert sorted(part["number"] for part in parts) == [0, 1]
    assert sum(part["rows"] for part in parts) == sum(table["statistics"]["rows"] for table in found["tables"].values())
    pages = {path.parent.name: path.read_text() for path in kfp_here.rglob("*.html") if "data_docs" not in path.parts}
    assert "caption_train" in pages["describe-tables"] and "validate-data" in pages
