"""The data steps as KFP components: each calls the step of the same name from the package in its image.

Settings arrive as the step's section of params.yaml; the page of a run shows what it was run with.
"""

from kfp import dsl

from components import images


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def fetch_data(raw: dsl.Output[dsl.Dataset], settings: dict):
    """Get raw data: the built-in pictures, or real data from a folder, an address or a git revision.

    Args:
        settings: The section `fetch` of params.yaml.

    Returns:
        raw: Folder of raw data with a manifest of its files.
    """
    from components.preprocess.fetch import fetch
    from components.preprocess.settings import step_arguments

    manifest = fetch(raw.path, **step_arguments(fetch, settings, "fetch"))
    raw.metadata.update(source=manifest.source, license=manifest.license, bytes=manifest.bytes)
    raw.metadata.update(version=manifest.version, commit=manifest.settings.get("commit", ""))


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def validate_data(
    raw: dsl.Input[dsl.Dataset], validated: dsl.Output[dsl.Dataset], docs: dsl.Output[dsl.HTML], settings: dict
):
    """Check raw data against the suites of expectations; the pipeline stops here when they do not pass.

    Args:
        raw: Folder of raw data.
        settings: The section `validate` of params.yaml.

    Returns:
        validated: Folder with the report, the Data Docs and the rejected rows.
        docs: The first page of the Data Docs.
    """
    import shutil

    from components.preprocess.settings import step_arguments
    from components.preprocess.validate import DOCS, validate

    report = validate(validated.path, **step_arguments(validate, settings, "validate", raw=raw.path))
    validated.metadata.update(rejected_rows=report["rejected"]["rows"])
    docs.path += ".html"
    shutil.copyfile(f"{validated.path}/{DOCS}/index.html", docs.path)


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def build_shards(
    raw: dsl.Input[dsl.Dataset],
    validated: dsl.Input[dsl.Dataset],
    part: dsl.Output[dsl.Dataset],
    number: int,
    numbers: list,
    settings: dict,
):
    """Build a share of the shards of all tables.

    Args:
        raw: Folder of raw data.
        validated: What validation made of it; its rejected rows are left out.
        number: Which share, from 0.
        numbers: The numbers of all shares.
        settings: The section `tables` of params.yaml.

    Returns:
        part: Folder of shards.
    """
    from components.preprocess.parts import build_part
    from components.preprocess.settings import step_arguments
    from components.preprocess.tables import tables

    chosen = step_arguments(tables, settings, "tables")
    for name in ("validated", "parts", "max_bad_rows"):  # what the join says
        del chosen[name]
    rows = build_part(part.path, raw.path, validated.path, number, len(numbers), **chosen)
    part.metadata.update(rows=rows)


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def build_tables(
    raw: dsl.Input[dsl.Dataset],
    validated: dsl.Input[dsl.Dataset],
    tables: dsl.Output[dsl.Dataset],
    settings: dict,
    parts: dsl.Input[list[dsl.Dataset]] = None,
):
    """Build the TSV tables of training and evaluation out of the shards that are there already.

    Args:
        raw: Folder of raw data.
        validated: What validation made of it; its rejected rows are left out.
        settings: The section `tables` of params.yaml.
        parts: Folders of shards; what they lack is built here.

    Returns:
        tables: Folder of the tables, their statistics, the list of answers and the negatives.
    """
    from components.preprocess.settings import step_arguments
    from components.preprocess.tables import tables as build

    chosen = step_arguments(build, settings, "tables", validated=validated.path)
    chosen["parts"] = [part.path for part in parts or ()]
    statistics = build(tables.path, raw.path, **chosen)
    tables.metadata.update(tables=len(statistics["tables"]), rejected_rows=statistics["rejected_rows"])
    tables.metadata.update(statistics["data"])


@dsl.component(base_image=images.TRAIN, install_kfp_package=False)  # it runs a network
def code_images(
    tables: dsl.Input[dsl.Dataset],
    vqgan: dsl.Input[dsl.Model],
    codes: dsl.Output[dsl.Dataset],
    image_size: int = 256,
    shard: int = 0,
    shards: int = 1,
    max_bad_rows: int = 0,
):
    """Write the tables of image codes: for text to image, and for pretraining on pictures.

    Args:
        tables: Folder of tables.
        vqgan: Folder of a VQ-GAN.
        image_size: Side of the coded squares in pixels.
        shard: Make this part only, from 0.
        shards: Parts that each table is cut into.
        max_bad_rows: Rows that may be left out because their picture cannot be read.

    Returns:
        codes: Folder of the tables of codes, and of the VQ-GAN.
    """
    from components.preprocess.codes import codes as step

    made = step(
        codes.path,
        tables.path,
        vqgan.path,
        image_size=image_size,
        shard=shard,
        shards=shards,
        max_bad_rows=max_bad_rows,
    )
    codes.metadata.update(rows={name: file["rows"] for name, file in made.items()})


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def describe_tables(tables: dsl.Input[dsl.Dataset], page: dsl.Output[dsl.HTML], examples: int = 6):
    """Show what is in the tables: distributions and examples.

    Args:
        tables: Folder of tables.
        examples: Rows of each table to show.

    Returns:
        page: The page, in one file.
    """
    from components.preprocess.stats import stats

    page.path += ".html"
    stats(tables.path, page.path, examples)


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def find_version(settings: dict) -> str:
    """Find out which version the data have now, without copying them. Switch its caching off.

    Args:
        settings: The section `fetch` of params.yaml.

    Returns:
        Output: The version.
    """
    from components.preprocess.fetch import fetch, find_version
    from components.preprocess.settings import step_arguments

    return find_version(**step_arguments(fetch, settings, "fetch"))
