"""The data steps run as a KFP pipeline in this process's environment, and compile to the same bytes each time."""

import json

from kfp import compiler, dsl, local

from components.preprocess.kfp import build_tables, code_images, describe_tables, fetch_data, validate_data


def test_fetch_and_build_run_as_a_pipeline(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(root))

    @dsl.pipeline
    def data(train: int = 6):
        raw = fetch_data(scenes={"train": 6, "val": 2, "test": 0, "test_pairs": 0})
        validated = validate_data(raw=raw.outputs["raw"], image_rate=1.0)
        built = build_tables(
            raw=raw.outputs["raw"], validated=validated.outputs["validated"], captions_per_image=2, processes=1
        )
        describe_tables(tables=built.outputs["tables"], examples=1)

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=True)
    data()
    (statistics,) = tmp_path.rglob("statistics.json")
    tables = json.loads(statistics.read_text())["tables"]
    assert tables["caption_train"]["statistics"]["rows"] == 12
    (page,) = tmp_path.rglob("page")
    assert "caption_train" in page.read_text()


def test_components_name_the_projects_image_and_install_nothing(tmp_path):
    for component in (fetch_data, validate_data, build_tables, code_images, describe_tables):
        text = []
        for name in ("a", "b"):
            compiler.Compiler().compile(component, str(tmp_path / f"{name}.yaml"))
            text.append((tmp_path / f"{name}.yaml").read_text())
        assert text[0] == text[1]
        assert "image: ofa-python-preprocess" in text[0]
        assert "pip install" not in text[0]
