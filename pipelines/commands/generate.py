"""`ofa generate`: predictions for a table or a folder of pictures."""

from typing import Annotated

import typer

from components.cli import key_values


def generate(
    source: Annotated[list[str], typer.Argument(help="Folder of pictures, or a table (its file, or its shards).")],
    task: Annotated[str, typer.Option(help="Name of the task: caption, refcoco, vqa ...")],
    checkpoint: Annotated[str, typer.Option(help="Folder or .pt file; by default models/TASK.")] = "",
    out: Annotated[str, typer.Option(help="File of JSON lines; by default TASK.jsonl.")] = "",
    text: Annotated[str, typer.Option(help="What to ask about every picture of a folder.")] = "",
    setting: Annotated[list[str] | None, typer.Option(help="KEY=VALUE: change a setting of the task.")] = None,
    search: Annotated[list[str] | None, typer.Option(help="KEY=VALUE: change the search, e.g. beam=1.")] = None,
    batch_size: Annotated[int, typer.Option(help="Rows predicted together.")] = 16,
    processes: Annotated[int, typer.Option(help="Processes side by side; 0: one a GPU, else one a core.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes that read pictures for each of them.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda:0 ...")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, or bf16, which is faster on most GPUs.")] = "fp32",
    compile: Annotated[bool, typer.Option("--compile", help="Compile the search's steps first: for big jobs.")] = False,
    seed: Annotated[int, typer.Option(help="Of what --search sampling=true draws.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use the first rows only.")] = None,
    max_bad_rows: Annotated[int | None, typer.Option(help="Unreadable rows before it stops; default: never.")] = None,
) -> None:
    """Predict for a table or a folder of pictures; a line of JSON for each, written as they come.

    Stopped and started again, it goes on where it was. Rows that cannot be read are lines with their error.

    Examples: `ofa generate pictures/ --task caption --out captions.jsonl`,
    `ofa generate pictures/ --task vqa --text "what color is the bus?" --out colors.jsonl`,
    `ofa generate pictures/ --task caption --search sampling=true --search top_p=0.9 --search beam=1 --seed 7`
    """
    from components.evaluate.generate import generate
    from ofa import tasks

    name = tasks.get(task).name
    out = out or f"{name}.jsonl"
    done = generate(
        source,
        task,
        checkpoint or f"models/{name}",
        out,
        text=text,
        settings=key_values(setting),
        search=key_values(search),
        batch_size=batch_size,
        processes=processes,
        workers=workers,
        device=device,
        precision=precision,
        compile=compile,
        seed=seed,
        limit=limit,
        max_bad_rows=max_bad_rows,
    )
    typer.echo(f"{out}: {done.rows} predictions, {len(done.errors)} rows could not be read")
    if done.new:
        typer.echo(f"{done.new} of them now, {done.new / done.seconds:.3g} a second with the start")
    for row in done.errors[:3]:
        typer.echo(f"  {row['error']}")
