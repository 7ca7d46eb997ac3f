"""The data steps as KFP components: each calls the step of the same name from the package in its image."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def fetch_data(
    raw: dsl.Output[dsl.Dataset],
    source: str = "scenes",
    scenes: dict = {},  # noqa: B006 - KFP reads defaults, it never shares them
    license: str = "",
):
    """Get raw data: the built-in pictures, or real data in the layout of COCO from a folder or an address.

    Args:
        raw: Folder of raw data with a manifest of its files.
        source: "scenes" for the built-in pictures; otherwise folders, archives or addresses, separated by spaces.
        scenes: What to change about the built-in pictures, for example {"train": 1000}.
        license: Terms of the data; by default the license files that come with them.
    """
    from components.preprocess.fetch import fetch

    manifest = fetch(raw.path, source.split(), scenes, license)
    raw.metadata.update(source=manifest.source, license=manifest.license, bytes=manifest.bytes)


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def validate_data(
    raw: dsl.Input[dsl.Dataset],
    validated: dsl.Output[dsl.Dataset],
    image_rate: float = 0.1,
    max_bad_rows: int = 0,
):
    """Check raw data against the suites of expectations; the pipeline stops here when they do not pass.

    Args:
        raw: Folder of raw data.
        validated: Folder with the report, the Data Docs and the rejected rows.
        image_rate: Share of the pictures that are decoded whole, 0 to 1.
        max_bad_rows: How many rows may be put aside before it stops.
    """
    from components.preprocess.validate import validate

    report = validate(validated.path, raw=raw.path, image_rate=image_rate, max_bad_rows=max_bad_rows)
    validated.metadata.update(rejected_rows=report["rejected"]["rows"])


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
def build_tables(
    raw: dsl.Input[dsl.Dataset],
    validated: dsl.Input[dsl.Dataset],
    tables: dsl.Output[dsl.Dataset],
    captions_per_image: int = 0,
    expressions_per_image: int = 0,
    questions_per_image: int = 0,
    pretraining_per_image: int = 0,
    answers: int = 3129,
    processes: int = 0,
    max_bad_rows: int = 0,
):
    """Build the TSV tables of training and evaluation.

    Args:
        raw: Folder of raw data.
        validated: What validation made of it; its rejected rows are left out.
        tables: Folder of the tables, their statistics, the list of answers and the negatives.
        captions_per_image: Rows of a picture in the training table of captions at most (0: all).
        expressions_per_image: The same for the training tables of referring expressions.
        questions_per_image: The same for the training table of questions.
        pretraining_per_image: The same for each type of rows of the pretraining table.
        answers: How many of the most frequent answers VQA may give (0: all).
        processes: How many work at once (0: one a core).
        max_bad_rows: How many rows may be left out because they cannot be written.
    """
    from components.preprocess.tables import tables as build

    statistics = build(
        tables.path,
        raw.path,
        validated.path,
        captions_per_image=captions_per_image,
        expressions_per_image=expressions_per_image,
        questions_per_image=questions_per_image,
        pretraining_per_image=pretraining_per_image,
        answers=answers,
        processes=processes,
        max_bad_rows=max_bad_rows,
    )
    tables.metadata.update(tables=len(statistics["tables"]), rejected_rows=statistics["rejected_rows"])


@dsl.component(base_image=images.PREPROCESS, install_kfp_package=False)
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
        codes: Folder of the tables of codes, and of the VQ-GAN.
        image_size: Side of the coded squares in pixels.
        shard: Make this part only, from 0.
        shards: Parts that each table is cut into.
        max_bad_rows: Rows that may be left out because their picture cannot be read.
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
        page: The page, in one file.
        examples: Rows of each table to show.
    """
    from components.preprocess.stats import stats

    stats(tables.path, page.path, examples)
