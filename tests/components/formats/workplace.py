"""Training and evaluating by the commands, in the current folder with its `tables`."""

import json

import yaml

TRAIN = {"steps": 2, "batch_size": 4, "lr": 1e-3, "precision": "fp32", "device": "cpu"}


def train(ofa, init, task: str, out: str = "", **section) -> None:
    """Two steps from the network `init`; `section` are values of the section of the task."""
    settings = {"validation_rows": 0, "workers": 0} | section
    with open("train.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump({"train": TRAIN, "finetune": {task: settings}}, file)
    name = task.rpartition(":")[2]
    out = out or f"models/{name}"
    command = ["train", "finetune", task, "--tables", "tables", "--init", init, "--params", "train.yaml"]
    assert f"{out}: 2 steps" in ofa(*command, "--out", out, "--work", f"runs/{out}")


def evaluate(ofa, task: str, split: str, *options: str) -> tuple[dict, list[dict]]:
    """The evaluation of `models/TASK` on a split, and its predictions."""
    out = f"evaluations/{task.rpartition(':')[2]}"
    with open("evaluate.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump({"evaluate": {"latency_samples": 1, "resamples": 100}}, file)
    command = ["evaluate", "run", task, "--tables", "tables", "--split", split, "--out", out]
    ofa(*command, "--params", "evaluate.yaml", *options)
    with open(f"{out}/evaluation.json", encoding="utf-8") as file:
        evaluation = json.load(file)
    with open(f"{out}/predictions.jsonl", encoding="utf-8") as file:
        return evaluation, [json.loads(line) for line in file]
