"""`ofa evaluate`: scores, comparisons and reports on the command line."""

from typing import Annotated

import typer

from components.cli import Commands, key_values

app = Commands(
    "evaluate",
    "Evaluate: score a network, compare two, write a report.\n\nExample: `ofa evaluate run caption --split test`",
    invoke_without_command=True,
)

Params = Annotated[str, typer.Option(help="File with the settings; options on the command line go before it.")]


@app.callback()
def group(
    context: typer.Context,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Two evaluation folders: short for `ofa evaluate compare A B`.")
    ] = None,
    out: Annotated[str, typer.Option(help="With --compare: page with pictures of wins and losses.")] = "",
) -> None:
    if compare is not None and context.invoked_subcommand is None:
        compare_two(*compare, out=out)


@app.command()
def run(
    task: Annotated[str, typer.Argument(help="Name of the task: caption, refcoco, vqa ...")],
    checkpoint: Annotated[str, typer.Option(help="Folder or .pt file; by default models/TASK.")] = "",
    table: Annotated[
        list[str] | None, typer.Option(help="Table to evaluate; may be repeated for its shards. Instead of --split.")
    ] = None,
    tables: Annotated[str, typer.Option(help="Folder of tables, as `ofa data build` makes it.")] = "data/tables",
    split: Annotated[str, typer.Option(help="Split to evaluate.")] = "test",
    name: Annotated[str, typer.Option(help="Tables NAME_SPLIT.tsv, e.g. refcocog; by default the task's.")] = "",
    out: Annotated[str, typer.Option(help="Folder of the evaluation; by default evaluations/SPLIT/TASK.")] = "",
    metrics: Annotated[str, typer.Option(help="File for the bare numbers, as `dvc metrics` reads them.")] = "",
    train_table: Annotated[list[str] | None, typer.Option(help="With --table: what baselines learn from.")] = None,
    objects: Annotated[str, typer.Option(help="COCO instances or detection table, for a baseline.")] = "",
    setting: Annotated[list[str] | None, typer.Option(help="KEY=VALUE: change a setting of the task.")] = None,
    search: Annotated[list[str] | None, typer.Option(help="KEY=VALUE: change the search, e.g. beam=1.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows predicted together.")] = None,
    processes: Annotated[int | None, typer.Option(help="Processes that predict side by side.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda:0 ...")] = None,
    limit: Annotated[int | None, typer.Option(help="Evaluate the first rows only.")] = None,
    max_bad_rows: Annotated[int | None, typer.Option(help="Unreadable rows to leave out before it stops.")] = None,
    judge: Annotated[str | None, typer.Option(help="image_gen: network that captions, to choose and score.")] = None,
    inception: Annotated[str | None, typer.Option(help="image_gen: weights of Inception v3, for FID and IS.")] = None,
    real: Annotated[str | None, typer.Option(help="image_gen: .npz of mu and sigma of real pictures.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Metric to leave out; may be repeated.")] = None,
    params: Params = "params.yaml",
) -> None:
    """Score a network on a table. A run that was interrupted goes on where it stopped.

    Writes predictions.jsonl (as they come), evaluation.json, and for captions results.json in COCO's format.

    Examples: `ofa evaluate run refcoco --split test`,
    `ofa evaluate run caption --checkpoint ofa_base.pt --table caption_test.tsv --params ""`
    """
    from components.evaluate.evaluate import evaluate
    from components.evaluate.judges import Judges
    from components.evaluate.stage import evaluate_stage
    from ofa import tasks

    chosen = {
        "settings": key_values(setting),
        "batch_size": batch_size,
        "processes": processes,
        "device": device,
        "limit": limit,
        "max_bad_rows": max_bad_rows,
        "skip": skip,
    }
    changes = {name: value for name, value in chosen.items() if value not in (None, {})}
    named = {"judge": judge, "inception": inception, "real": real}
    judges = {name: value for name, value in named.items() if value is not None}
    if table:
        found = evaluate(
            task,
            checkpoint or f"models/{tasks.get(task).name}",
            table,
            out or f"evaluations/{split}/{tasks.get(task).name}",
            train_table=train_table,
            objects=objects or None,
            metrics=metrics or None,
            params=params or None,
            search=key_values(search),
            judges=Judges(**judges),
            **changes,
        )
    else:
        changes |= {"search": {task: key_values(search)}} if search else {}
        changes |= {"judges": judges} if judges else {}
        found = evaluate_stage(task, checkpoint, tables, split, out, metrics, objects, params, name=name, **changes)
    for name, score in found.scores.items():
        trivial = [scores[name] for scores in found.baseline.values() if name in scores]
        beside = f"   (best baseline {max(trivial):.4f})" if trivial else ""
        typer.echo(f"{name:>12} {score:8.4f}{beside}")
    for name, reason in found.skipped.items():
        typer.echo(f"{name:>12} skipped: {reason}")
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"{found.rows} rows, {found.bad_rows} unreadable, {found.speed.samples_per_second:.3g} rows/s")


@app.command("compare")
def compare_two(
    a: Annotated[str, typer.Argument(help="Evaluation folder.")],
    b: Annotated[
        str, typer.Argument(help="Evaluation folder to compare with it; positive differences favor this one.")
    ],
    metric: Annotated[str, typer.Option(help="Metric of the rows; by default the task's primary one.")] = "",
    out: Annotated[str, typer.Option(help="Page with wins and losses; the numbers go beside it as .json.")] = "",
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Compare two networks on the same rows (paired bootstrap, 10,000 resamples).

    Example: `ofa evaluate compare evaluations/a evaluations/b --out comparison.html`
    """
    from pathlib import Path

    from components.evaluate.compare import compare
    from components.evaluate.comparison_page import write_comparison

    found = compare(a, b, metric or None, seed=seed)
    change = found.difference
    typer.echo(f"{found.task} {found.metric}: {found.a:.4f} -> {found.b:.4f}, difference {change.mean:+.4f}")
    interval = f"{100 * found.confidence:g} % interval {change.low:+.4f} to {change.high:+.4f}"
    typer.echo(f"{interval}, p = {change.p_value:.2g}: {found.verdict}")
    typer.echo(f"{found.wins} rows won, {found.losses} lost, {found.ties} equal")
    if out:
        write_comparison(found, b, out)
        found.save(Path(out).with_suffix(".json"))


@app.command()
def report(
    evaluations: Annotated[
        list[str] | None, typer.Argument(help="Folder with an evaluation folder a task, or those folders.")
    ] = None,
    out: Annotated[str, typer.Option(help="The page; .md and .json are written beside it.")] = "reports/report.html",
    gate: Annotated[str, typer.Option(help="gate.json, to show what was decided.")] = "",
    training: Annotated[
        list[str] | None, typer.Option(help="Folder of a training, or of several, for curves; repeatable.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "OFA evaluation",
    pictures: Annotated[str, typer.Option(help="Folder for pictures that the Markdown shows; empty: none.")] = "",
    earlier: Annotated[str, typer.Option(help="Folder of the trainings before, for the curves among them.")] = "",
) -> None:
    """Write a report: a page that opens anywhere, Markdown for pull requests, JSON for machines.

    Example: `ofa evaluate report evaluations/test --out reports/report.html --training runs`
    """
    from components.evaluate.report import report

    folders = evaluations or ["evaluations/test"]
    found = folders if len(folders) > 1 else folders[0]
    report(found, out, gate or None, training or (), title, sheets=pictures, earlier=earlier)
    typer.echo(out)
