"""The training steps, each from the output of the one before."""

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import torch
import yaml

from components.evaluate.record import load
from components.evaluate.stage import evaluate_stage
from components.lineage import checkpoint_hash, read_origin
from components.train import run
from components.train.finetune import finetune
from components.train.network import smooth_bins
from components.train.pretrain import pretrain
from components.train.run import deliver
from components.train.stem import stem
from components.train.tracking import RUN_FILE
from ofa import OFA, checkpoint
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.tasks.store import saved_settings


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """MLflow's files go to the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_step_starts_where_the_last_one_ended(workplace, small_tables, params):
    tables = str(small_tables)
    stem(tables, "models/stem", "runs/stem", str(params))
    pretrain(tables, "models/pretrain", "runs/pretrain", "models/stem", str(params))
    result = finetune("refcoco", tables, "models/pretrain", "models/refcoco", "runs/refcoco", str(params))

    assert result.steps == 3 and 0 <= result.metrics["acc@0.5"] <= 1
    config, trained = checkpoint.load_folder("models/refcoco")
    _, before = checkpoint.load_folder("models/pretrain")
    unused = sorted(set(range(1000, 20000)) - set(config.output_ids))[0]
    assert torch.equal(trained["embed_tokens.weight"][unused], before["embed_tokens.weight"][unused])
    assert not torch.equal(trained["decoder.norm.weight"], before["decoder.norm.weight"])
    assert saved_settings("models/refcoco")["refcoco"]["num_bins"] == 16
    origins = [read_origin(f"models/{stage}") for stage in ("stem", "pretrain", "refcoco")]
    parents = [None, *(checkpoint_hash(f"models/{stage}")[0] for stage in ("stem", "pretrain"))]
    assert [origin.get("parent_sha256") for origin in origins] == parents
    assert len({origin["settings_sha256"] for origin in origins}) == 3
    (box,) = OFA.from_pretrained("models/refcoco", device="cpu").ground(_picture(small_tables), "the cat")
    assert box.x1 <= 80 and box.y1 <= 64


def test_a_network_of_all_of_pretrainings_tasks(workplace, small_tables, params):
    """Its rows give two samples, of which some are judged true or false; the folder of wrong ones stays behind."""
    tables, settings = str(small_tables), yaml.safe_load(params.read_text())
    learned = settings["pretrain"]["tasks"]["vision_language"]
    settings["finetune"]["vision_language"] = {"settings": learned, "validation_rows": 40, "workers": 0}
    params.write_text(yaml.safe_dump(settings))
    pretrain(tables, "models/pretrain", "runs/pretrain", "", str(params))
    result = finetune("vision_language", tables, "models/pretrain", params=str(params))
    assert result.steps == 3 and {"grounding/acc@0.5", "region_caption/exact_match"} < result.metrics.keys()
    assert saved_settings("models/vision_language")["vision_language"]["negatives"] is None
    model = OFA.from_pretrained("models/vision_language", device="cpu")
    asked = {"text": "what does the image describe?", "image": _picture(small_tables)}
    (said,) = model.predict(model.task("instruction"), [asked])
    assert isinstance(said.value.text, str)
    for task in ("vision_language", "region_caption"):
        found = evaluate_stage(task, "models/vision_language", tables, "test", params="", limit=6, out=f"out/{task}")
        assert found.rows == (12 if task == "vision_language" else 5), "of six expressions two mean one region"
    assert "matching/accuracy" in load("out/vision_language").scores


def test_the_same_step_again_changes_nothing(workplace, small_tables, params):
    states = []
    for _ in range(2):
        stem(str(small_tables), "models/stem", "runs/stem", str(params))
        states.append(checkpoint.load_folder("models/stem")[1])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_other_code_does_not_go_on_with_a_run(workplace, small_tables, params, monkeypatch, caplog):
    stem(str(small_tables), "models/stem", "runs/stem", str(params))
    assert "training starts anew" not in caplog.text
    monkeypatch.setitem(run.STEPS, "stem", run.STEPS["gate"])
    stem(str(small_tables), "models/stem", "runs/stem", str(params))
    assert "training starts anew" in caplog.text and "code: " in caplog.text


def test_a_training_that_starts_anew_has_a_run_of_its_own(workplace, small_tables, params, caplog):
    ids = []
    for regions in (0.75, 0.75, 0.5):
        settings = yaml.safe_load(params.read_text())
        settings["stem"]["regions"] = regions
        params.write_text(yaml.safe_dump(settings))
        stem(str(small_tables), "models/stem", "runs/stem", str(params))
        ids.append(Path("runs/stem", RUN_FILE).read_text())
    (warning,) = [record.getMessage() for record in caplog.records if "training starts anew" in record.getMessage()]
    assert "settings.stem.regions: 0.75 then, 0.5 now" in warning and "patch_image_size" not in warning
    assert ids[0] == ids[1] != ids[2]
    client = mlflow.MlflowClient()
    for id, regions in ((ids[0], "0.75"), (ids[2], "0.5")):
        kept = client.get_run(id)
        assert kept.data.params["stem.regions"] == regions and kept.info.status == "FINISHED"
        assert [point.step for point in client.get_metric_history(id, "loss")] == [1, 2, 3]


def test_two_processes_do_not_train_in_one_folder(workplace, small_tables, params):
    (workplace / "runs" / "stem").mkdir(parents=True)
    code = "import fcntl; file = open('runs/stem/.lock', 'w'); fcntl.lockf(file, fcntl.LOCK_EX)"
    code += "; print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OFAError, match="runs/stem: another process is training there"):
            stem(str(small_tables), "models/stem", "runs/stem", str(params))
        other.stdin.close()
    assert not (workplace / "models").exists()


def test_an_unknown_setting_is_named(workplace, small_tables, params):
    values = yaml.safe_load(params.read_text())
    values["train"]["stepz"] = 3
    params.write_text(yaml.safe_dump(values))
    with pytest.raises(OFAError, match=r"params.yaml: train: unknown key 'stepz', did you mean 'steps'\?"):
        stem(str(small_tables), "models/stem", "runs/stem", str(params))
    assert not (workplace / "models").exists()


def test_only_the_main_process_delivers(tmp_path, monkeypatch):
    net = OFAModel(OFAConfig.preset("nano"))
    monkeypatch.setenv("RANK", "1")
    deliver(net, tmp_path / "network", {}, {})
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("RANK", "0")
    deliver(net, tmp_path / "network", {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["network"]


def test_neighboring_bins_start_alike():
    net = OFAModel(OFAConfig.preset("nano"))
    first, bins = 58457, 32
    norm = net.embed_tokens.weight[first : first + bins].norm().item()
    beyond = net.embed_tokens.weight[first + bins].clone()
    smooth_bins(net, first, bins, 2.0)
    rows = net.embed_tokens.weight[first : first + bins]
    likeness = torch.cosine_similarity(rows[:, None], rows[None], dim=-1)
    assert likeness.diagonal(1).min() > 0.8
    assert likeness.diagonal(12).abs().mean() < 0.3
    assert rows.norm().item() == pytest.approx(norm, rel=1e-5)
    assert torch.equal(net.embed_tokens.weight[first + bins], beyond)


def _picture(tables) -> bytes:
    from ofa.data import TABLES, Table
    from ofa.data.images import decode_base64

    return decode_base64(Table(tables / "detection_train.tsv", TABLES["detection"])[0]["image"])


def test_a_store_that_cannot_be_used_is_named(workplace, small_tables, params, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/mlflow.db")
    with pytest.raises(OFAError, match=r"^MLflow at sqlite:////proc/mlflow.db cannot be used: .*unable to open"):
        stem(str(small_tables), "models/stem", "runs/stem", str(params))
