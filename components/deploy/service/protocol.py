"""KServe's inference protocols, v1 and v2 ("open inference protocol"): their JSON to items and answers back.

Both take the columns of the registered MLflow model: task, image (base64) and text; and box ("x0,y0,x1,y1") and seed
(digits).
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from components.deploy.service.errors import RequestError
from components.deploy.service.inputs import Item, pair
from components.deploy.service.operations import OPERATIONS, find
from components.deploy.service.service import Answer
from components.deploy.service.settings import Limits

INPUTS = ("task", "image", "text", "box", "seed")
"""Input tensors of v2, all of strings; an empty one stands for nothing."""

OUTPUTS = {"prediction": "BYTES", "score": "FP64"}
"""Output tensors of v2 and their types."""

V1_EXAMPLE = {"instances": [{"task": "ground", "image": {"b64": "..."}, "text": "the apple left of the cat"}]}

V2_EXAMPLE = {
    "inputs": [
        {"name": "task", "shape": [1], "datatype": "BYTES", "data": ["answer"]},
        {"name": "image", "shape": [1], "datatype": "BYTES", "data": ["..."]},
        {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["what is on the left?"]},
    ]
}


def v1_items(body: dict[str, Any], limits: Limits) -> list[Item]:
    """Items of a v1 request: `{"instances": [{"task": ..., "image": {"b64": ...}, "text": ...}]}`.

    Raises:
        RequestError: it has another form, or is beyond a limit.
    """
    instances = body.get("instances")
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise RequestError(
            "'instances' must be a list of objects with task and, where it needs them, image, text, box, seed"
        )
    items = []
    for number, values in enumerate(_within(instances, limits)):
        unknown = set(values) - {*INPUTS, "candidates"}
        if unknown:
            raise RequestError(
                f"instance {number}: unknown key '{min(unknown)}'; known: {', '.join(INPUTS)}, candidates"
            )
        items.append(_item(f"instance {number}", values, limits))
    return items


def v1_response(answers: Sequence[Answer]) -> dict[str, Any]:
    """The v1 response."""
    return {"predictions": [{"task": answer.operation, **answer.result} for answer in answers]}


def v2_items(body: dict[str, Any], limits: Limits) -> list[Item]:
    """Items of a v2 request: string tensors `task` and, where a task needs them, those of `INPUTS`, of one length.

    Raises:
        RequestError: it has another form, or is beyond a limit.
    """
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(tensor, dict) for tensor in inputs):
        raise RequestError("'inputs' must be a list of tensors")
    columns = {tensor.get("name"): _strings(tensor) for tensor in inputs}
    unknown = [name for name in columns if name not in INPUTS]
    if unknown:
        raise RequestError(f"unknown input '{unknown[0]}'; this model takes {', '.join(INPUTS)}")
    if "task" not in columns:
        raise RequestError("the input 'task' is missing")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise RequestError(f"all inputs must have one length, got {lengths}")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [_item(f"row {number}", row, limits) for number, row in enumerate(_within(rows, limits))]


def v2_response(body: dict[str, Any], answers: Sequence[Answer], name: str, version: str) -> dict[str, Any]:
    """The v2 response; predictions that are no text, such as boxes, are JSON.

    Raises:
        RequestError: the request asks for an output that there is none of.
    """
    values = {"prediction": [_as_text(answer) for answer in answers], "score": [a.result["score"] for a in answers]}
    asked = body.get("outputs") or [{"name": output} for output in OUTPUTS]
    unknown = [output.get("name") for output in asked if output.get("name") not in OUTPUTS]
    if unknown:
        raise RequestError(f"unknown output '{unknown[0]}'; this model gives {', '.join(OUTPUTS)}")
    outputs = [
        {"name": o["name"], "shape": [len(answers)], "datatype": OUTPUTS[o["name"]], "data": values[o["name"]]}
        for o in asked
    ]
    given = {"id": body["id"]} if "id" in body else {}
    return {"model_name": name, "model_version": version, **given, "outputs": outputs}


def v2_metadata(name: str, version: str) -> dict[str, Any]:
    """The v2 description of the model."""
    return {
        "name": name,
        "versions": [version],
        "platform": "pytorch",
        "inputs": [{"name": tensor, "datatype": "BYTES", "shape": [-1]} for tensor in INPUTS],
        "outputs": [{"name": tensor, "datatype": kind, "shape": [-1]} for tensor, kind in OUTPUTS.items()],
    }


def _item(place: str, values: dict[str, Any], limits: Limits) -> Item:
    if not isinstance(values.get("task"), str):
        raise RequestError(f"{place}: 'task' must be one of {', '.join(operation.name for operation in OPERATIONS)}")
    operation = find(values["task"])
    given = {name: value for name, value in values.items() if value not in (None, "")}
    if operation.image == "needed" and "image" not in given:
        raise RequestError(f"{place}: 'image' is missing")
    candidates = given.get("candidates", ())
    try:
        return pair(operation, *([given.get(name)] for name in INPUTS[1:]), candidates, limits)[0]
    except RequestError as error:
        raise type(error)(f"{place}: {error}") from None


def _within(rows: list[Any], limits: Limits) -> list[Any]:
    if not 1 <= len(rows) <= limits.items:
        raise RequestError(f"{len(rows)} items in one request, it must be 1 to {limits.items}")
    return rows


def _strings(tensor: dict[str, Any]) -> list[str]:
    name, data, shape = tensor.get("name"), tensor.get("data"), tensor.get("shape")
    if "binary_data_size" in (tensor.get("parameters") or {}):
        raise RequestError(f"input '{name}': binary tensors are not read; send 'data' as a JSON list")
    if tensor.get("datatype") != "BYTES" or not isinstance(data, list):
        raise RequestError(f"input '{name}' must have datatype BYTES and 'data', a list of strings")
    values = [part for row in data for part in row] if all(isinstance(row, list) for row in data) else data
    if not all(isinstance(value, str) for value in values):
        raise RequestError(f"input '{name}' must hold strings")
    if (
        not isinstance(shape, list)
        or not all(isinstance(side, int) for side in shape)
        or math.prod(shape) != len(values)
    ):
        raise RequestError(f"input '{name}' has {len(values)} values, its shape {shape} says otherwise")
    return values


def _as_text(answer: Answer) -> str:
    value = next(value for key, value in answer.result.items() if key != "score")
    return value if isinstance(value, str) else json.dumps(value)
