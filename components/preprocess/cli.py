"""`ofa data`: from raw files to tables, and back to look at them."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from components.cli import Commands

app = Commands(
    "data",
    "Get raw data, validate them, build tables; look at tables and take them apart.\n\n"
    "Example: `ofa data fetch && ofa data validate && ofa data build`",
)

PARAMS = "params.yaml"
Raw = Annotated[str, typer.Option(help="Folder of raw data, as `ofa data fetch` makes it.")]
Params = Annotated[str, typer.Option(help="File with the settings; options on the command line go before it.")]
Kind = Annotated[str, typer.Option(help="Kind of the table; by default the name KIND_SPLIT.tsv says it.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind of table; may be repeated.")]


@app.command()
def fetch(
    out: Annotated[str, typer.Option(help="Folder to make.")] = "data/raw",
    source: Annotated[
        list[str] | None,
        typer.Option(help="`scenes` (built-in), or a folder, archive or address of COCO files; may be repeated."),
    ] = None,
    license: Annotated[str | None, typer.Option(help="Terms of the data, for the manifest.")] = None,
    revision: Annotated[
        str | None, typer.Option(help="Commit, branch or tag: --source is a git repository with data in DVC.")
    ] = None,
    path: Annotated[str | None, typer.Option(help="Folder in that repository; by default data/raw.")] = None,
    params: Params = PARAMS,
) -> None:
    """Get raw data: the built-in pictures, or real data in the layout of COCO, RefCOCO and VQA v2.

    Files may keep their published names, for example `annotations/captions_train2017.json` with pictures in
    `train2017/`. Settings: section `fetch`.

    Example: `ofa data fetch --source s3://bucket/coco --out data/raw`
    """
    from components.preprocess.fetch import fetch

    given = {"source": source, "license": license, "revision": revision, "path": path}
    manifest = fetch(out, **step_settings(fetch, "fetch", params, **given))
    typer.echo(f"{out}: {len(manifest.files)} files, {manifest.bytes / 1e6:.1f} MB, license {manifest.license or '-'}")
    for split, counts in manifest.splits.items():
        typer.echo(f"  {split}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


@app.command()
def version(
    out: Annotated[str, typer.Option(help="File to write.")] = "reports/data_version.json", params: Params = PARAMS
) -> None:
    """Write down which version the data to fetch have now, without copying them. Settings: section fetch.

    Example: `ofa data version`
    """
    import json

    from components.preprocess.fetch import fetch, find_version
    from ofa.files import atomic_write

    found = find_version(**step_settings(fetch, "fetch", params))
    with atomic_write(out) as file:
        json.dump({"version": found}, file)
    typer.echo(f"{out}: {found}")


@app.command()
def validate(
    tables: Annotated[list[str] | None, typer.Argument(help="TSV files to validate in place of raw data.")] = None,
    raw: Raw = "data/raw",
    out: Annotated[str, typer.Option(help="Folder for report, Data Docs and rejected rows.")] = "data/validated",
    kind: Kinds = None,
    image_rate: Annotated[float | None, typer.Option(help="Share of the pictures to decode whole.")] = None,
    max_bad_rows: Annotated[int | None, typer.Option(help="Bad rows that are put aside before it stops.")] = None,
    suites: Annotated[str | None, typer.Option(help="Folder of your own suites, KIND.yaml.")] = None,
    previous: Annotated[str | None, typer.Option(help="report.json of the last version, to compare labels.")] = None,
    params: Params = PARAMS,
) -> None:
    """Check raw data, or tables, against suites of expectations.

    Suites: `components/preprocess/expectations/KIND.yaml`. Settings: section `validate`.

    Example: `ofa data validate --raw data/raw --out data/validated`
    """
    from components.preprocess.validate import DOCS, validate

    given = {"kinds": kind, "image_rate": image_rate, "max_bad_rows": max_bad_rows, "suites": suites}
    given |= {"previous": previous}
    given |= {"tables": tables} if tables else {"raw": raw}
    report = validate(out, **step_settings(validate, "validate", params, **given))
    expectations, rows = sum(report["expectations"].values()), sum(report["rows"].values())
    pictures, rejected = report["pictures"], report["rejected"]["rows"]
    typer.echo(f"{out}: {expectations} expectations hold on {rows} rows and {pictures['all']} pictures", nl=False)
    typer.echo(f" ({pictures['decoded']} decoded), {rejected} rows rejected; Data Docs: {out}/{DOCS}/index.html")
    for failure in report["failures"]:
        typer.echo(f"  {failure['severity']}: {failure['table']}: {failure['because']}: {failure['rows']} rows")


@app.command()
def build(
    raw: Raw = "data/raw",
    validated: Annotated[
        str, typer.Option(help="Folder that `ofa data validate` made: its rejected rows are left out; '' for none.")
    ] = "data/validated",
    out: Annotated[str, typer.Option(help="Folder for the tables.")] = "data/tables",
    kind: Kinds = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; may be repeated.")] = None,
    processes: Annotated[int | None, typer.Option(help="How many work at once; 0: one a core.")] = None,
    max_image_side: Annotated[
        int | None, typer.Option(help="Pixels; pictures with a longer side are made smaller. 0: none are.")
    ] = None,
    max_bad_rows: Annotated[int | None, typer.Option(help="Rows that may be left out before it stops.")] = None,
    params: Params = PARAMS,
) -> None:
    """Build the TSV tables. An interrupted build goes on where it stopped. Settings: section `tables`.

    Example: `ofa data build --raw data/raw --out data/tables`
    """
    from components.preprocess.tables import tables

    given = {"kinds": kind, "splits": split, "processes": processes, "max_bad_rows": max_bad_rows}
    given |= {"max_image_side": max_image_side}
    settings = step_settings(tables, "tables", params, validated=validated, **given)
    statistics = tables(out, raw, **settings)
    for name, table in statistics["tables"].items():
        counts, left_out = table["statistics"], sum(table["left_out"].values())
        size = f"{counts['bytes'] / 1e6:8.1f} MB"
        rest = f", {left_out} left out" if left_out else ""
        rest += f", {counts['shrunk']} with smaller pictures" if counts["shrunk"] else ""
        typer.echo(f"{name:24} {counts['rows']:8} rows {counts['pictures']:8} pictures {size}{rest}")
    typer.echo(f"{out}: {len(statistics['tables'])} tables, {statistics['rejected_rows']} rows rejected")


@app.command()
def codes(
    tables: Annotated[str, typer.Option(help="Folder of tables, as `ofa data build` makes it.")] = "data/tables",
    out: Annotated[str, typer.Option(help="Folder for the tables of codes.")] = "data/codes",
    vqgan: Annotated[
        str, typer.Option(help="Folder of `ofa train vqgan`, or the published last.ckpt with model.yaml beside it.")
    ] = "models/vqgan",
    image_size: Annotated[int | None, typer.Option(help="Side of the coded squares in pixels.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="image_gen or image; may be repeated.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Only this split; may be repeated.")] = None,
    shard: Annotated[int | None, typer.Option(help="Make this part only, from 0.")] = None,
    shards: Annotated[int | None, typer.Option(help="Parts that each table is cut into.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda:0 ...")] = None,
    max_bad_rows: Annotated[int | None, typer.Option(help="Rows that may be left out before it stops.")] = None,
    params: Params = PARAMS,
) -> None:
    """Write the tables of image codes: for text to image, and for pretraining on pictures. Settings: section `codes`.

    Example: `ofa data codes --vqgan models/vqgan --out data/codes`
    """
    from components.preprocess.codes import codes

    given = {"image_size": image_size, "kinds": kind, "splits": split, "shard": shard, "shards": shards}
    settings = step_settings(codes, "codes", params, device=device, max_bad_rows=max_bad_rows, **given)
    for name, file in codes(**settings | {"out": out, "tables": tables, "vqgan": vqgan}).items():
        rest = f", {len(file['rejected'])} left out" if file["rejected"] else ""
        typer.echo(
            f"{name:24} {file['rows']:8} rows {file['pictures']:8} pictures, {file['codes_used']} codes in use, "
            f"perplexity {file['perplexity']}{rest}"
        )


@app.command()
def stats(
    tables: Annotated[list[str] | None, typer.Argument(help="TSV files, or one folder of them.")] = None,
    out: Annotated[str, typer.Option(help="HTML file to write.")] = "reports/tables.html",
    examples: Annotated[int, typer.Option(help="Rows of each table to show.")] = 6,
) -> None:
    """Show what is in tables: distributions and examples, in one HTML file that needs no network.

    Example: `ofa data stats data/tables --out reports/tables.html`
    """
    from components.preprocess.stats import stats

    summaries = stats(tables or ["data/tables"], out, examples)
    bad = sum(summary.bad_rows for summary in summaries)
    typer.echo(f"{out}: {len(summaries)} tables, {sum(s.statistics.rows for s in summaries)} rows, {bad} bad rows")


@app.command()
def show(
    table: Annotated[str, typer.Argument(help="TSV file.")],
    row: Annotated[int, typer.Argument(help="Number of the row, from 0.")],
    out: Annotated[str, typer.Option(help="PNG file for the picture with its boxes; '' for none.")] = "row.png",
    kind: Kind = "",
) -> None:
    """Print a row of a table, and write its picture with the boxes drawn.

    Example: `ofa data show data/tables/refcoco_val.tsv 7 --out row.png`
    """
    from components.preprocess.show import show

    columns = show(table, row, out, kind)
    for name, value in columns.items():
        typer.echo(f"{name:12} {value}")
    if out and "image" in columns:
        typer.echo(f"{'drawn':12} {out}")


@app.command()
def unpack(
    table: Annotated[str, typer.Argument(help="TSV file.")],
    out: Annotated[str, typer.Option(help="Folder to make: images/ and annotations.jsonl.")],
    kind: Kind = "",
) -> None:
    """Take a table apart: the picture files as they were, and the annotations as JSON lines.

    Example: `ofa data unpack data/tables/vqa_val.tsv --out vqa_val`
    """
    from components.preprocess.show import unpack

    typer.echo(f"{out}: {unpack(table, out, kind)} rows")


def step_settings(step: Callable, section: str, params: str, **given: Any) -> dict[str, Any]:
    """The arguments of a step: those given on the command line, then those of its section in the file of settings.

    No file (`params` is empty) counts as an empty one, and so does one that is looked for by default and not there.

    Raises:
        OFAError: the section has a key that the step does not know, or a value of a wrong type.
    """
    from components.params import load_params
    from components.preprocess.settings import step_arguments

    missing = not params or (params == PARAMS and not Path(params).exists())
    values = {} if missing else load_params(params).get(section) or {}
    return step_arguments(step, values, f"{params}: {section}", **given)
