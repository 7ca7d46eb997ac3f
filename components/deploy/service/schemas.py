"""The JSON of the API as the documentation shows it."""

from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from components.deploy.service.inputs import SEEDS
from components.deploy.service.operations import Operation
from components.deploy.service.settings import Limits


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str = Field(description="what is wrong and what to do, in a sentence")
    code: str = Field(description="the same for programs, such as bad_image or busy")
    request_id: str = Field(description="names the request in the service's log")


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str
    source: str


class Region(BaseModel):
    """A rectangle in pixels of the upright picture; without extent where nothing was found."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: str = Field("", description="what is there, where the operation tells")


class Reply(BaseModel):
    """What an instruction brought."""

    text: str
    boxes: list[Region]


class Result(BaseModel):
    """The answer to one item."""

    score: float = Field(description="log-probability as the search ranks it; exp(score) lies in 0..1")
    width: int | None = Field(None, description="of the upright picture in pixels, which boxes refer to, if it has one")
    height: int | None = None
    alternatives: list[dict[str, Any]] = Field(description="other answers with their scores, best first")


class Results(BaseModel):
    """The answers to a request."""

    model: ModelName
    milliseconds: float = Field(description="time from the request's first byte to its answer")
    request_id: str


class Task(BaseModel):
    """One operation of the model."""

    name: str
    task: str
    summary: str
    result: str = Field(description="name of the answer's field that holds what was found")
    language: str = Field(description="of texts and answers: english or chinese")
    image: Literal["needed", "possible", "none"] = Field(description="whether a picture goes with it")
    text: str | None = Field(description="name of the request's text field, if there is one")
    article: bool = Field(description="whether the text may have limits.article_characters")
    box: bool = Field(description="whether it is asked about a part of the picture, the field box")
    seed: bool = Field(description="whether its answer is drawn, which the field seed decides")
    candidates: bool = Field(description="whether the field candidates may limit its answers")
    metric: str | None = None
    score: float | None = Field(None, description="of the evaluation that the release was judged by")
    interval: tuple[float, float] | None = Field(None, description="95 % confidence interval of the score")


class Description(BaseModel):
    """The model of the moment, and what may be sent to it."""

    name: str
    version: str
    source: str
    loaded: str
    report: str | None = Field(description="address of the page about its evaluation, if it carries one")
    registered: str | None = Field(description="web address of this version in the registry")
    operations: list[Task]
    limits: dict[str, int]


_KINDS: dict[str, Any] = {"box": Region, "objects": list[Region], "reply": Reply}


def response_model(operation: Operation) -> type[BaseModel]:
    """The answers of an operation."""
    name = operation.name.capitalize()
    values = {operation.result: (_KINDS.get(operation.result, str), Field(description=operation.summary))}
    if operation.seed:
        values["seed"] = (int, Field(description="what it was drawn with"))
    result = create_model(f"{name}Result", __base__=Result, **values)
    results = (list[result], Field(description="an answer for each item, in their order"))
    return create_model(f"{name}Results", __base__=Results, results=results)


def request_body(operation: Operation, limits: Limits) -> dict[str, Any]:
    """The OpenAPI description of an operation's request, as a form and as JSON."""
    many = f"or a list of up to {limits.items}"
    text = {"type": "string", "maxLength": limits.text_characters}
    form: dict[str, Any] = {}
    body: dict[str, Any] = {}
    if operation.image != "none":
        about = f"JPEG, PNG or WebP file; up to {limits.items}"
        form["image"] = {"type": "string", "format": "binary", "description": about}
        body["image"] = {"type": "string", "description": f"JPEG, PNG or WebP in base64 or as a data URL; {many}"}
    if operation.text is not None:
        field = text | {"description": f"{operation.text_help} {many.capitalize()}.", "example": operation.example}
        field["maxLength"] = limits.article_characters if operation.article else limits.text_characters
        form[operation.text] = body[operation.text] = field
    if operation.box:
        field = {
            "type": "string",
            "description": f"Left, top, right, bottom in pixels, {many}.",
            "example": "10,20,90,80",
        }
        form["box"] = body["box"] = field
    if operation.seed:
        about = (
            f"Whole number that decides what is drawn: one gives one answer; left out, it is another each time; {many}."
        )
        form["seed"] = body["seed"] = {"type": "integer", "minimum": 0, "maximum": SEEDS - 1, "description": about}
    if operation.limit is not None:
        field = {
            "type": "array",
            "items": text,
            "maxItems": limits.candidates,
            "description": "The only answers that are possible. Leave it out for the model's own.",
        }
        form["candidates"] = body["candidates"] = field
    left_out = {"candidates", "seed"} | ({"image"} if operation.image == "possible" else set())
    required = [name for name in operation.fields if name not in left_out]
    content = {
        "multipart/form-data": {"schema": {"type": "object", "properties": form, "required": required}},
        "application/json": {"schema": {"type": "object", "properties": body, "required": required}},
    }
    return {"requestBody": {"required": True, "content": content}}


def json_body(example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a JSON request that is shown by an example."""
    return {"requestBody": {"required": True, "content": {"application/json": {"example": example}}}}
