"""The registered model's code. MLflow stores this file and runs it where the model is loaded.

It may use what is shipped with the model, nothing else: the bundle, the package `ofa`, and the model's requirements.
"""

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import torch

from ofa import OFA
from ofa.data.batch import collate
from ofa.data.images import decode
from ofa.data.schema import TABLES
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.settings import build

BATCH = 16
"""Rows answered together."""

_TEXT_COLUMNS = {"vqa": "question", "snli_ve": "hypothesis"}


class BundleModel(mlflow.pyfunc.PythonModel):
    """Answers rows of (task, image, text) with (prediction, score)."""

    def load_context(self, context) -> None:
        self.folder = Path(context.artifacts["bundle"])
        self.tasks = json.loads((self.folder / "bundle.json").read_text(encoding="utf-8"))["tasks"]
        self._models: dict[str, OFA] = {}

    def predict(self, context, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answer every row.

        Args:
            context: of MLflow; unused.
            model_input: columns `task` (caption, refcoco, vqa ...), `image` (base64 of a picture file, or a path) and
                `text` (the expression to find, the question to answer; not for captions).
            params: none are known.

        Returns:
            Columns `prediction` (text; a box as JSON with x0, y0, x1, y1 in pixels of the picture) and `score` (its
            log-probability), in the order of the rows.
        """
        found: dict[int, tuple[str, float]] = {}
        rows = list(model_input.reset_index(drop=True).to_dict("index").items())
        for name in dict.fromkeys(row["task"] for _, row in rows):
            of_task = [(number, row) for number, row in rows if row["task"] == name]
            for start in range(0, len(of_task), BATCH):
                found |= self._answer(name, of_task[start : start + BATCH])
        answers = [found[number] for number, _ in rows]
        return pd.DataFrame(answers, columns=["prediction", "score"], index=model_input.index)

    def _answer(self, name: str, rows: list[tuple[int, dict[str, Any]]]) -> dict[int, tuple[str, float]]:
        model = self._model(name)
        task = model.task(name)
        samples = []
        for number, row in rows:
            try:
                samples.append(task.sample(_table_row(task.table, number, row), False, random.Random(0)))
            except OFAError as error:
                raise OFAError(f"row {number} ({name}): {error}") from error
        search = build(SearchConfig, self.tasks[name]["search"], f"search of {name}")
        with torch.inference_mode():
            predictions = task.predict(model.net, collate(samples).to(model.device), search)
        return {
            number: (_text(prediction.value), float(prediction.score))
            for (number, _), prediction in zip(rows, predictions, strict=True)
        }

    def _model(self, name: str) -> OFA:
        if name not in self.tasks:
            raise OFAError(f"this model has no task {name!r}; it has {', '.join(sorted(self.tasks))}")
        if name not in self._models:
            self._models[name] = OFA.from_pretrained(self.folder / name)
        return self._models[name]


def _table_row(kind: str, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """A row of the task's table without the truth, as the evaluation had it."""
    values = {"uniq_id": str(number), "image_id": str(number)}
    column = _TEXT_COLUMNS.get(kind, "text")
    if column in TABLES[kind]:
        values[column] = _given(row, "text", f"the {column}")
    if "image" in TABLES[kind]:
        values["image"] = _picture(_given(row, "image", "the picture"))
    if "objects" in TABLES[kind]:
        values["objects"] = ""
    return values


def _given(row: dict[str, Any], column: str, what: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value:
        raise OFAError(f"column '{column}' must hold {what}, it is empty")
    return value


def _picture(value: str) -> Any:
    """The path as it is, or the picture in the base64 text (which may be a data URL)."""
    if len(value) < 4096 and Path(value).is_file():
        return value
    return decode(value.partition("base64,")[2] if value.startswith("data:") else value)


def _text(value: Any) -> str:
    """A prediction as text: boxes as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, default=dataclasses.asdict)


mlflow.models.set_model(BundleModel())
