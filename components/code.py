"""Which code a result comes from, so that nothing that other code made is taken for it.

Code is known by what it does: comments, docstrings and layout do not count.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ("ofa", "components")
"""Packages whose modules are followed."""

NEUTRAL = (
    "components.code",
    "components.folders",
    "components.lineage",
    "components.tables",
    "ofa.checkpoint",
    "ofa.files",
    "ofa.data.remote",
    "ofa.data.shards",
    "ofa.errors",
    "ofa.progress",
    "ofa.settings",
)
"""Modules and packages that find, read, write and report, and decide nothing of what is computed."""


@dataclass(frozen=True)
class Step:
    """The code of a step of the pipeline."""

    modules: tuple[str, ...]
    """Modules that, with all that they import, make its result."""
    without: tuple[str, ...] = ()
    """Modules and packages among those that change nothing of it, besides `NEUTRAL`."""
    tasks: bool = False
    """Its result comes from the module of a task as well."""

    def hash(self, *tasks: str) -> str:
        """SHA-256 of what the code does; `tasks` are modules of tasks."""
        return code_hash(*self.modules, *tasks, without=self.without)


_TRACKED = (
    "components.train.curves",
    "components.train.samples",
    "components.train.tracking",
    "ofa.train.batches",
    "ofa.train.checkpoints",
    "ofa.train.flops",
    "ofa.train.history",
    "ofa.train.preemption",
)
"""They keep, show, follow and interrupt a training."""

_VALIDATION = ("ofa.generate", "ofa.metrics")
"""They measure a network while it trains. Finetuning may choose the best step by that, or learn by reward."""

STEPS = {
    "fetch": Step(("components.preprocess.fetch",), without=("ofa.metrics",)),
    "validate": Step(("components.preprocess.validate",)),
    "tables": Step(
        ("components.preprocess.tables",),
        without=("components.preprocess.checks", "components.preprocess.metadata", "components.preprocess.workers"),
    ),
    "vqgan": Step(("components.train.vqgan",), without=(*_TRACKED, *_VALIDATION, "components.folders")),
    "codes": Step(("components.preprocess.codes",), without=("ofa.generate", "ofa.tasks")),
    "stem": Step(("components.train.stem",), without=(*_TRACKED, *_VALIDATION)),
    "pretrain": Step(("components.train.pretrain",), without=(*_TRACKED, *_VALIDATION)),
    "finetune": Step(("components.train.finetune",), without=(*_TRACKED, "ofa.tasks.pretrain"), tasks=True),
    "evaluate": Step(("components.evaluate.stage",), tasks=True),
    "gate": Step(("components.deploy.gate",)),
    "report": Step(("components.evaluate.report",), without=("ofa.metrics", "ofa.tasks")),
    "promote": Step(
        ("components.deploy.bundle", "components.deploy.promote", "components.deploy.model_code"),
        without=("components.deploy.gate", "ofa.generate", "ofa.metrics", "ofa.model", "ofa.tasks"),
    ),
}
"""By the names of the stages in dvc.yaml; vqgan and codes are no stages."""


def step_hashes() -> dict[str, str | dict[str, str]]:
    """The first digits of each step's hash; by task for the steps that have one for each."""
    from ofa import tasks

    modules = {name: tasks.get(name).__module__ for name in tasks.names()}
    return {
        name: {task: step.hash(module)[:12] for task, module in modules.items()} if step.tasks else step.hash()[:12]
        for name, step in STEPS.items()
    }


def code_hash(*modules: str, without: Iterable[str] = ()) -> str:
    """SHA-256 of what modules do, and all that they import of the project.

    Args:
        modules: names, such as "components.train.run".
        without: names of modules and packages that do not count, besides `NEUTRAL`.
    """
    digest = hashlib.sha256()
    for name, path in sorted(imported(*modules, without=without).items()):
        digest.update(f"{name} {_meaning(path.read_bytes())}\n".encode())
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
            waiting += _imports(path.read_bytes())
    return found


def _file(name: str) -> Path | None:
    """The file of a module of the project, or of one from elsewhere that is loaded; None for what is no module."""
    place = ROOT.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    loaded = getattr(sys.modules.get(name), "__file__", None)
    return Path(loaded) if loaded else None


@cache
def _imports(source: bytes) -> tuple[str, ...]:
    """Names that a file imports of the project; some may be no modules, but things in one."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(name for name in names if name.startswith(tuple(f"{package}." for package in PROJECT)))


@cache
def _meaning(source: bytes) -> str:
    """What a file says to Python, without the texts for people."""
    return hashlib.sha256(ast.dump(_WithoutTexts().visit(ast.parse(source))).encode()).hexdigest()


class _WithoutTexts(ast.NodeTransformer):
    """Leaves out docstrings, and what errors say."""

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        return ast.Raise(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node
