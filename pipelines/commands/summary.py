"""`ofa summary`: what the last run of the pipeline came to, on one screen."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ofa.errors import OFAError

SHOWN = {
    "caption": ("CIDEr", "Bleu_4", "METEOR", "ROUGE_L"),
    "refcoco": ("Acc@0.5", "mean_IoU"),
    "vqa": ("accuracy", "yes/no", "number", "other"),
    "region_caption": ("CIDEr", "exact_match"),
}
"""The first metric of each task is its primary one."""

LOOK = (
    ("the report", "reports/report.html"),
    ("the data's documentation", "data/validated/data_docs/index.html"),
    ("runs, curves, the model registry", "mlflow ui --backend-store-uri sqlite:///mlflow.db"),
    ("ask the model yourself", "ofa serve models/release"),
    ("ask the pretrained one as well", "ofa serve models"),
    ("compare with the last commit", "dvc metrics diff"),
)

LOG_WIDTH = 130
"""Columns where the output is no terminal."""


def summary(
    metrics: Annotated[str, typer.Option(help="Folder of the metrics files.")] = "metrics",
    gate: Annotated[str, typer.Option(help="The gate's decision.")] = "reports/gate.json",
    promotion: Annotated[str, typer.Option(help="What was promoted.")] = "reports/promotion.json",
) -> None:
    """Print the scores beside the trivial baselines, what the gate decided and why, and where to look.

    Example: `ofa summary`
    """
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    console.print(_scores(Path(metrics)))
    decision = _read(gate)
    console.print(f"\n[bold]Gate: {decision['decision']}[/] - {decision['reason']}")
    for finding in decision["findings"]:
        if finding["passed"] is not True:
            console.print(f"  not met: {finding['task']} {finding['rule']}: {finding['why']}", markup=False)
    console.print(_released(_read(promotion)), markup=False)
    console.print("\n[bold]Where to look[/], after `source .venv/bin/activate`")
    for what, where in LOOK:
        console.print(f"  {what:34} {where}", markup=False)


def _scores(folder: Path):
    from rich.table import Table

    table = Table(title="Scores on pictures that training never saw", title_justify="left")
    for heading, justify in (("task", "left"), ("metric", "left"), ("score", "right"), ("95 % interval", "right")):
        table.add_column(heading, justify=justify)
    table.add_column("trivial", justify="right")
    table.add_column("which is", justify="left")
    table.add_column("unseen pairs", justify="right")
    for task, names in _tasks(folder).items():
        numbers = _read(folder / f"{task}.json")
        harder = _read(folder / "test_pairs" / f"{task}.json")
        for place, name in enumerate(name for name in names if name in numbers):
            interval = "{low:.3f} - {high:.3f}".format(**numbers["interval"]) if place == 0 else ""
            row = (name, f"{numbers[name]:.3f}", interval, *_best_baseline(numbers, name), f"{harder[name]:.3f}")
            table.add_row("" if place else task, *row, end_section=False)
        table.add_section()
    return table


def _tasks(folder: Path) -> dict[str, tuple[str, ...]]:
    """The metrics to show of each task that was evaluated; of a task in Chinese those of the same in English."""
    known = SHOWN | {f"{task}_zh": names for task, names in SHOWN.items()}
    found = {task: names for task, names in known.items() if (folder / f"{task}.json").is_file()}
    if not found:
        raise OFAError(f"{folder}: no metrics; run the pipeline first with `dvc repro`")
    return found


def _best_baseline(numbers: dict[str, Any], name: str) -> tuple[str, str]:
    """Score and name of the best trivial predictor."""
    scores = {baseline: values[name] for baseline, values in numbers["baseline"].items() if name in values}
    if not scores:
        return "", ""
    best = max(scores, key=scores.__getitem__)
    return f"{scores[best]:.3f}", best.replace("_", " ")


def _released(promotion: dict[str, Any]) -> str:
    version = promotion["version"]
    if not promotion["promoted"]:
        return f"Registry: version {version} is registered as challenger; the champion stays"
    before = f", before it was version {promotion['previous']}" if promotion.get("previous") else ""
    return f"Registry: version {version} is the champion{before}"


def _read(path: str | Path) -> dict[str, Any]:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OFAError(f"{path}: not there; run the pipeline first with `dvc repro`") from None
