"""Make the Data Docs of Great Expectations readable from a file, without network.

Its pages take their style sheets, scripts and pictures from half a dozen servers, and without them the index is empty.
The content is all in the pages: this gives them one style sheet of ours and writes an index with what the runs found.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from components.preprocess.pages import TEMPLATES, render
from ofa.files import atomic_write

_STYLE = "data_docs.css"
_REMOTE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>|<style\b.*?</style>",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class SuiteRun:
    """What a run of a suite found."""

    run: str
    """Name of the run."""
    table: str
    """Kind of table, and name of the suite."""
    evaluated: int
    """Number of expectations."""
    held: int
    """How many of them hold."""
    failures: tuple
    """The others, as `checks.Failure`."""


def finish_docs(folder: Path, runs: Iterable[SuiteRun]) -> None:
    """Rewrite the pages in `folder` that Great Expectations has built, and its index."""
    for page in folder.rglob("*.html"):
        root = "../" * len(page.relative_to(folder).parent.parts)
        content = _REMOTE.sub("", page.read_text(encoding="utf-8"))
        content = content.replace("</head>", f'<link rel="stylesheet" href="{root}{_STYLE}"></head>', 1)
        with atomic_write(page) as file:
            file.write(content)
    shutil.rmtree(folder / "static", ignore_errors=True)
    shutil.copyfile(TEMPLATES / _STYLE, folder / _STYLE)
    rows: dict[str, list[dict]] = {}
    for run in runs:
        pages = folder.glob(f"validations/{run.table}/{run.run}/*/*.html")
        page = next((quote(page.relative_to(folder).as_posix()) for page in pages), "")
        rows.setdefault(run.run, []).append({**vars(run), "page": page})
    with atomic_write(folder / "index.html") as file:
        file.write(render("data_docs.html.j2", runs=rows))
