"""The report of a release: the evaluation that it carries, as a page."""

import tempfile
from pathlib import Path

from components.deploy.bundle import BUNDLE, EVALUATIONS

SECURITY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
"""Content security policy of a page that holds its style and pictures itself."""


def has_report(folder: Path) -> bool:
    """Whether a folder is a release with its evaluations."""
    return (folder / BUNDLE).is_file() and (folder / EVALUATIONS).is_dir()


def render_report(folder: Path, version: str) -> str:
    """The page. Takes a second: not for the event loop."""
    from components.evaluate.report import report

    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "report.html"
        report(str(folder / EVALUATIONS), str(page), title=f"OFA, version {version}")
        return page.read_text(encoding="utf-8")
