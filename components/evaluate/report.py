"""The report step: one page about a release that opens anywhere, the same table in Markdown, and JSON for machines."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from components.curves import HISTORY, VALIDATION, read_curves, trainings
from components.evaluate.charts import line_chart
from components.evaluate.gallery import Album, asked, card, choose, finest
from components.evaluate.record import Evaluation, Slice, find, load, load_json, load_predictions
from components.evaluate.sheets import write_curves, write_sheets
from ofa.files import atomic_write

_UNPLOTTED = {
    "samples_per_second", "tokens_per_second", "cells_per_second", "gradient_norm", "memory_gib", "skipped", "nll",
    "learning_rate",
}  # fmt: skip
"""Columns of a training's history that say nothing about learning."""


def report(
    evaluations: str | Sequence[str],
    out: str,
    gate: str | None = None,
    training: Sequence[str] = (),
    title: str = "OFA evaluation",
    pictures: int = 6,
    seed: int = 0,
    sheets: str = "",
    earlier: str = "",
) -> None:
    """Write a report as `out` (HTML without any outside file), and beside it as .md and .json.

    Args:
        evaluations: folder with an evaluation folder a task, or those folders.
        out: the page, for example "reports/report.html".
        gate: gate.json, to show what was decided.
        training: folders of trainings whose `history.csv` and `validation.csv` are drawn, or folders of such folders,
            the trainings in the order of their ends.
        title: of the page.
        pictures: rows shown in each gallery.
        seed: of the random gallery.
        sheets: folder for pictures that the Markdown shows: of predictions and learning curves; empty for none.
        earlier: folder of the trainings before, by the same names, that those curves are held against.
    """
    found = {task: (folder, load(folder)) for task, folder in find(evaluations).items()}
    decision = load_json(Path(gate), "a gate decision") if gate else None
    runs = [run for folder in training for run in trainings(Path(folder))]
    page = render(
        "report.html.j2",
        title=title,
        gate=decision,
        curves=[curve for run in runs for curve in _curves(run)],
        tasks=[_task(folder, evaluation, pictures, seed) for folder, evaluation in found.values()],
    )
    records = {task: evaluation for task, (_, evaluation) in found.items()}
    shown = {}
    if sheets:
        shown = {f"Pictures of {task}": path for task, path in write_sheets(found, Path(sheets), seed).items()}
        curves = Path(sheets) / "loss.png"
        shown |= {"Learning curves": curves} if write_curves(runs, curves, Path(earlier) if earlier else None) else {}
    links = {text: os.path.relpath(path, Path(out).parent) for text, path in shown.items()}
    with atomic_write(out) as file:
        file.write(page)
    with atomic_write(Path(out).with_suffix(".md")) as file:
        file.write(markdown(records, decision, title, links))
    with atomic_write(Path(out).with_suffix(".json")) as file:
        json.dump(summary(records, decision), file, indent=2)
        file.write("\n")


def render(template: str, **values: Any) -> str:
    """A page from a template beside this file. Values are escaped; an unknown name in the template is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def markdown(
    evaluations: Mapping[str, Evaluation],
    gate: Mapping[str, Any] | None,
    title: str,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """Scores beside baselines, the gate's decision, and pictures by their titles, for a pull request."""
    lines = [
        f"# {title}",
        "",
        "| task | metric | score | 95 % interval | best baseline | rows |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for task, e in evaluations.items():
        trivial = "–" if e.best_baseline is None else f"{e.best_baseline:.3f}"
        interval = f"{e.interval[0]:.3f} – {e.interval[1]:.3f}"
        lines.append(f"| {task} | {e.metric} | **{e.score:.3f}** | {interval} | {trivial} | {e.rows} |")
    for task, e in evaluations.items():
        names = list(e.baseline)
        lines += ["", f"<details><summary>{task}: all metrics</summary>", ""]
        lines.append(f"| metric | model | {' | '.join(name.replace('_', ' ') for name in names)} |")
        lines.append("| --- | ---: |" + " ---: |" * len(names))
        for metric, value in e.scores.items():
            cells = [f"{e.baseline[name][metric]:.3f}" if metric in e.baseline[name] else "–" for name in names]
            lines.append(f"| {metric} | {value:.3f} | {' | '.join(cells)} |")
        for note in e.notes:
            lines += ["", note]
        lines += ["", "</details>"]
    if gate:
        marks = {True: "pass", False: "**fail**", None: "**?**"}
        reason = gate["reason"][0].upper() + gate["reason"][1:]
        lines += ["", f"## Gate: {gate['decision']}", "", reason, "", "| | task | rule | why |"]
        lines += ["| --- | --- | --- | --- |"]
        findings = sorted(gate["findings"], key=lambda f: f["passed"] is True)  # what is not met first
        lines += [f"| {marks[f['passed']]} | {f['task']} | {f['rule']} | {f['why']} |" for f in findings]
    for text, path in (pictures or {}).items():
        lines += ["", f"<details><summary>{text}</summary>", "", f"![{text}]({path})", "", "</details>"]
    return "\n".join(lines) + "\n"


def summary(evaluations: Mapping[str, Evaluation], gate: Mapping[str, Any] | None) -> dict[str, Any]:
    """The report's numbers for machines."""
    return {
        "tasks": {
            task: {
                "metric": e.metric,
                "score": e.score,
                "interval": list(e.interval),
                "scores": e.scores,
                "baseline": e.baseline,
                "rows": e.rows,
                "bad_rows": e.bad_rows,
                "notes": e.notes,
                "checkpoint_sha256": e.lineage.checkpoint_sha256,
                "table_sha256": e.lineage.table_sha256,
            }
            for task, e in evaluations.items()
        },
        "gate": gate and {"decision": gate["decision"], "reason": gate["reason"]},
    }


def _task(folder: Path, e: Evaluation, pictures: int, seed: int) -> dict[str, Any]:
    """What the template shows of a task."""
    rows, album = load_predictions(folder), Album(e)
    metric, prompts = finest(rows, e), asked(rows)
    scale = 100 / max(1.0, 1.05 * e.score, 1.05 * (e.best_baseline or 0.0))
    galleries = choose(rows, metric, pictures, seed)
    return {
        "name": e.task,
        "metric": e.metric,
        "score": e.score,
        "scores": e.scores,
        "interval": e.interval,
        "baseline": e.baseline,
        "best_baseline": e.best_baseline,
        "bar": round(scale * e.score, 2),
        "mark": None if e.best_baseline is None else round(scale * e.best_baseline, 2),
        "rows": e.rows,
        "skipped": e.skipped,
        "notes": e.notes,
        "slices": {name: _bars(parts) for name, parts in e.slices.items()},
        "histograms": e.histograms,
        "galleries": {
            name: [card(row, album, metric, prompts) for row in chosen] for name, chosen in galleries.items()
        },
        "has_boxes": "size" in rows[0],
        "lineage": _lineage(e),
    }


def _bars(parts: Mapping[str, Slice]) -> dict[str, Any]:
    """The twelve largest slices, in their own order, and how many `more` there are; a bar is full at 1, or at the best
    of them."""
    scale = 100 / max(1.0, *(part.score for part in parts.values()))
    largest = sorted(parts, key=lambda label: -parts[label].rows)[:12]
    shown = [
        {"label": label, "rows": part.rows, "score": part.score, "bar": round(max(0.0, scale * part.score), 2)}
        for label, part in parts.items()
        if label in largest
    ]
    return {"shown": shown, "more": len(parts) - len(shown)}


def _lineage(e: Evaluation) -> dict[str, str]:
    origin = e.lineage
    lines = {
        "checkpoint": f"{origin.checkpoint} ({origin.checkpoint_bytes / 1e6:.1f} MB)",
        "checkpoint sha256": origin.checkpoint_sha256,
        "trained from": origin.training.get("parent"),
        "trained from, sha256": origin.training.get("parent_sha256"),
        "training settings sha256": origin.training.get("settings_sha256"),
        "table": ", ".join(origin.table),
        "table sha256": origin.table_sha256,
        "table in dvc.lock": origin.table_dvc,
        "commit": origin.git_commit,
        "params sha256": origin.params_sha256,
        "search": ", ".join(f"{name} {value}" for name, value in origin.search.items() if value),
        "versions": ", ".join(f"{name} {number}" for name, number in origin.versions.items()),
        "rows": f"{e.rows} scored, {e.bad_rows} unreadable",
        "speed": f"{e.speed.samples_per_second:.3g} rows/s; one alone {e.speed.latency_ms_p50:.0f} ms (median), "
        f"{e.speed.latency_ms_p95:.0f} ms (95 %)",
    }
    return {name: value for name, value in lines.items() if value}


def _curves(folder: Path) -> list[dict[str, Any]]:
    curves = [curve for name in (HISTORY, VALIDATION) for curve in read_curves(folder / name).items()]
    return [
        {"stage": folder.name, "name": column, "svg": line_chart(*curve, f"{folder.name} {column}")}
        for column, curve in curves
        if column not in _UNPLOTTED and len(curve[0]) > 1
    ]
