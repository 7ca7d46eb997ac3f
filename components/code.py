"""Which code a result comes from, so that nothing that other code made is taken for it."""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("ofa", "components")
"""Packages whose modules are followed."""

NEUTRAL = (
    "components.code",
    "components.lineage",
    "components.tables",
    "ofa.checkpoint",
    "ofa.data.files",
    "ofa.errors",
    "ofa.progress",
    "ofa.settings",
)
"""Modules and packages that find, read, write and report, and decide nothing of what is computed."""


def code_hash(*modules: str, without: Iterable[str] = ()) -> str:
    """SHA-256 of what the modules do, and all that they import of the project.

    Two versions that differ in comments, docstrings or layout only have the same.

    Args:
        modules: names, such as "components.train.run".
        without: names of modules and packages that do not count, besides `NEUTRAL`.
    """
    digest = hashlib.sha256()
    for name, path in sorted(imported(*modules, without=without).items()):
        digest.update(f"{name} {ast.dump(_WithoutTexts().visit(_parse(path)))}\n".encode())
    return digest.hexdigest()


def imported(*modules: str, without: Iterable[str] = ()) -> dict[str, Path]:
    """Files of the modules and of all that they import of the project, anywhere in their code, by name."""
    left_out = (*NEUTRAL, *without)
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or any(f"{name}.".startswith(f"{prefix}.") for prefix in left_out):
            continue
        if (path := _file(name)) is not None:
            found[name] = path
            waiting += _imports(path)
    return found


def _file(name: str) -> Path | None:
    """The file of a module of the project, or of one from elsewhere that is loaded; None for what is no module."""
    place = ROOT.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    loaded = getattr(sys.modules.get(name), "__file__", None)
    return Path(loaded) if loaded else None


def _imports(path: Path) -> Iterator[str]:
    """Names that a file imports of the project; some may be no modules, but things in one."""
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.startswith(tuple(f"{package}." for package in PROJECT)))


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


class _WithoutTexts(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node
