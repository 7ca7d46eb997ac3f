"""The gate's decision as a document: every rule with its numbers, for machines (JSON) and for people (Markdown)."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.evaluate.record import load_json
from ofa.files import atomic_write
from ofa.settings import build

PROMOTE, REJECT, UNDECIDED = "promote", "reject", "undecided"
EXIT_CODES = {PROMOTE: 0, REJECT: 1, UNDECIDED: 2}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule, applied."""

    rule: str
    """floor, baseline, non-inferior, better, checkpoint size, latency or bad rows."""
    task: str
    passed: bool | None
    """None: could not be decided."""
    value: float | None = None
    """What was measured: a score, a difference, a size ..."""
    limit: float | None = None
    """What it was held against."""
    interval: tuple[float, float] | None = None
    """Confidence interval of a difference (two-sided, of twice the significance)."""
    why: str
    """One sentence with the numbers."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gate decided about a challenger."""

    decision: str
    """promote, reject or undecided."""
    reason: str
    """One sentence."""
    findings: list[Finding]
    challenger: dict[str, str] = field(default_factory=dict)
    """sha256 of the challenger's checkpoint by task."""
    champion: dict[str, str] = field(default_factory=dict)
    """The same of the champion that it was compared with; empty when there was none."""
    champion_version: str | None = None
    """Version of that champion in the model registry. Promotion goes ahead only while this version is the champion."""
    data: dict[str, str] = field(default_factory=dict)
    """sha256 of the evaluation table by task."""
    policy: dict[str, Any] = field(default_factory=dict)
    """The policy that was applied."""

    @property
    def exit_code(self) -> int:
        """0 promote, 1 reject, 2 could not decide."""
        return EXIT_CODES[self.decision]

    def save(self, path: str | Path) -> None:
        """Write the JSON document to `path` and the Markdown beside it (same name, suffix .md)."""
        with atomic_write(path) as file:
            json.dump(dataclasses.asdict(self), file, indent=2)
            file.write("\n")
        with atomic_write(Path(path).with_suffix(".md")) as file:
            file.write(self.markdown())

    def markdown(self) -> str:
        against = f"champion version {self.champion_version}" if self.champion_version else "a champion"
        lines = [
            f"## Gate: {self.decision}",
            "",
            self.reason[0].upper() + self.reason[1:],
            "",
            f"Compared with {against}." if self.champion else "There is no champion yet to compare with.",
            "",
            "| | task | rule | why |",
            "| --- | --- | --- | --- |",
        ]
        marks = {True: "pass", False: "**fail**", None: "**?**"}
        lines += [f"| {marks[f.passed]} | {f.task} | {f.rule} | {f.why} |" for f in self.findings]
        return "\n".join(lines) + "\n"


def load_decision(path: str | Path) -> Decision:
    """The decision that `save` wrote to `path`.

    Raises:
        OFAError: there is none, or the file is not one.
    """
    values = load_json(Path(path), "a gate decision, as `ofa gate` writes it")
    findings = [build(Finding, finding, f"{path}: findings") for finding in values.get("findings", [])]
    return build(Decision, {**values, "findings": findings}, str(path))
