"""The web application: routes and what they answer. What is behind them is in `service`."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from components.deploy.service import metrics as prometheus
from components.deploy.service import protocol
from components.deploy.service.errors import NotFound, RequestError
from components.deploy.service.frame import Frame, problem, refuse
from components.deploy.service.inputs import parse_json, read_body, read_items
from components.deploy.service.logs import REQUEST_ID
from components.deploy.service.models import Model
from components.deploy.service.operations import OPERATIONS, Operation
from components.deploy.service.reports import SECURITY, has_report
from components.deploy.service.schemas import Description, Problem, json_body, request_body, response_model
from components.deploy.service.service import Answer, Service

PAGE = Path(__file__).with_name("page")

_ABOUT = """OFA describes pictures, answers questions about them, finds what a text describes, paints and more.

Send a form with a picture as a file, or JSON with it in base64. `GET /api/model` says what this service can be asked.
Errors are JSON with one sentence in `error`. KServe's inference protocols are served as well: `/v1/models/...` and
`/v2/models/...`, with the inputs task, image, text, box and seed."""

_STATUSES = {
    400: "The request or its picture cannot be used.",
    401: "The key is missing or wrong.",
    404: "The model cannot do this.",
    413: "More bytes than are read.",
    429: "The queue is full; try again after `Retry-After` seconds.",
    503: "The model is still being loaded.",
    504: "The answer took too long.",
}


def create_app(service: Service, key: str | None = None) -> ASGIApp:
    """The application for a service; `key` is what API requests must carry, None for nothing."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(title="OFA", description=_ABOUT, version="1", docs_url=None, redoc_url=None, lifespan=life)
    app.include_router(_api(service))
    app.include_router(_kserve(service))
    app.include_router(_pages(service))
    app.mount("/page", StaticFiles(directory=PAGE), name="page")

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> JSONResponse:
        service.metrics.rejected.labels(error.code).inc()
        return refuse(error)

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> JSONResponse:
        text, code = str(error.detail), "bad_request"
        if error.status_code == 404:
            text, code = f"there is nothing at {request.url.path}", "not_found"
        elif error.status_code == 405:
            text, code = f"{request.method} is not possible at {request.url.path}", "method_not_allowed"
        return problem(error.status_code, text, code, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "the service failed; its log says more under this request_id", "internal")

    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key", "x-request-id"],
        )
    return Frame(app, service.metrics, key)


def _api(service: Service) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["OFA"])
    problems = {status: {"model": Problem, "description": text} for status, text in _STATUSES.items()}

    def add(operation: Operation) -> None:
        async def endpoint(request: Request) -> JSONResponse:
            started = time.perf_counter()
            async with service.place():
                service.model.skill(operation)  # whether it can, before what else may be wrong
                items = await read_items(request, operation, service.settings.limits)
                model, answers = await service.answer(items)
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            request.scope["log"] |= {"items": len(items), "version": model.version}
            return JSONResponse(
                {
                    "results": [_result(answer) for answer in answers],
                    "model": {"name": service.settings.name, "version": model.version, "source": model.source},
                    "milliseconds": milliseconds,
                    "request_id": REQUEST_ID.get(),
                }
            )

        router.post(
            f"/{operation.name}",
            name=operation.name,
            summary=operation.summary,
            response_model=response_model(operation),
            responses=problems,
            openapi_extra=request_body(operation, service.settings.limits),
        )(endpoint)

    for operation in OPERATIONS:
        add(operation)

    @router.get("/model", summary="The model of the moment and what it can be asked.", response_model=Description)
    async def model() -> dict[str, Any]:
        return _describe(service.model, service)

    @router.post("/{operation}", include_in_schema=False)
    async def unknown(operation: str) -> JSONResponse:
        known = ", ".join(known.name for known in OPERATIONS if service.model.does(known))
        raise NotFound(f"no operation '{operation}'; this model has {known}")

    return router


def _kserve(service: Service) -> APIRouter:
    router = APIRouter(tags=["KServe"])
    name, limits = service.settings.name, service.settings.limits

    def check(model: str, version: str | None = None) -> None:
        if model != name:
            raise NotFound(f"no model '{model}'; this service has '{name}'")
        if version is not None and version != service.model.version:
            raise NotFound(f"no version '{version}' of '{name}'; this service has {service.model.version}")

    @router.get("/v1/models", summary="v1: names of the models.")
    async def v1_models() -> dict[str, Any]:
        return {"models": [name]}

    @router.get("/v1/models/{model}", summary="v1: whether the model is ready.")
    async def v1_ready(model: str) -> JSONResponse:
        check(model)
        return JSONResponse({"name": name, "ready": service.ready}, 200 if service.ready else 503)

    @router.post("/v1/models/{model}:predict", summary="v1: predict.", openapi_extra=json_body(protocol.V1_EXAMPLE))
    async def v1_predict(model: str, request: Request) -> dict[str, Any]:
        check(model)
        async with service.place():
            body = parse_json(await read_body(request, limits.body_bytes))
            _, answers = await service.answer(protocol.v1_items(body, limits))
        return protocol.v1_response(answers)

    @router.get("/v2", summary="v2: the server.")
    async def v2_server() -> dict[str, Any]:
        return {"name": "ofa", "version": "1", "extensions": []}

    @router.get("/v2/health/live", summary="v2: whether the server lives.")
    async def v2_live() -> dict[str, Any]:
        return {"live": True}

    @router.get("/v2/health/ready", summary="v2: whether the server is ready.")
    async def v2_ready() -> JSONResponse:
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    async def v2_model(model: str, version: str | None = None) -> dict[str, Any]:
        check(model, version)
        return protocol.v2_metadata(name, service.model.version)

    async def v2_model_ready(model: str, version: str | None = None) -> JSONResponse:
        check(model, version)
        return JSONResponse({"name": name, "ready": service.ready}, 200 if service.ready else 503)

    async def v2_infer(model: str, request: Request, version: str | None = None) -> dict[str, Any]:
        check(model, version)
        async with service.place():
            body = parse_json(await read_body(request, limits.body_bytes))
            served, answers = await service.answer(protocol.v2_items(body, limits))
        return protocol.v2_response(body, answers, name, served.version)

    example = json_body(protocol.V2_EXAMPLE)
    for prefix, shown in (("/v2/models/{model}", True), ("/v2/models/{model}/versions/{version}", False)):
        add = partial(router.add_api_route, include_in_schema=shown)
        add(prefix, v2_model, summary="v2: the model's inputs and outputs.")
        add(f"{prefix}/ready", v2_model_ready, summary="v2: whether the model is ready.")
        add(f"{prefix}/infer", v2_infer, summary="v2: infer.", methods=["POST"], openapi_extra=example)
    return router


def _pages(service: Service) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @router.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(PAGE / "docs.html", headers={"Cache-Control": "no-cache"})

    @router.get("/report", include_in_schema=False)
    async def report() -> HTMLResponse:
        model = service.model
        page = await asyncio.to_thread(lambda: model.report)
        if page is None:
            raise NotFound("no evaluation came with this model")
        return HTMLResponse(page, headers={"Content-Security-Policy": SECURITY})

    @router.get("/healthz", summary="Whether the process lives.")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz", summary="Whether requests should be sent here.")
    async def ready() -> JSONResponse:
        status = "ready" if service.ready else "draining" if service.draining else "loading"
        return JSONResponse({"status": status}, 200 if service.ready else 503)

    @router.get("/metrics", summary="Numbers for Prometheus.", response_class=PlainTextResponse)
    async def numbers() -> PlainTextResponse:
        return PlainTextResponse(service.metrics.render(), media_type=prometheus.CONTENT_TYPE)

    return router


def _result(answer: Answer) -> dict[str, Any]:
    size = dict(zip(("width", "height"), answer.size, strict=True)) if answer.size else {}
    return answer.result | size | {"alternatives": answer.alternatives}


def _describe(model: Model, service: Service) -> dict[str, Any]:
    operations = [
        {
            "name": skill.operation.name,
            "task": skill.operation.task,
            "summary": skill.operation.summary,
            "result": skill.operation.result,
            "language": skill.task.settings.language,
            "image": skill.operation.image,
            "text": skill.operation.text,
            "article": skill.operation.article,
            "box": skill.operation.box,
            "seed": skill.operation.seed,
            "candidates": skill.operation.limit is not None,
            **model.scores.get(name, {}),
        }
        for name, skill in model.skills.items()
    ]
    return {
        "name": service.settings.name,
        "version": model.version,
        "source": model.source,
        "loaded": model.loaded.isoformat(timespec="seconds"),
        "report": "report" if model.folder and has_report(model.folder) else None,
        "registered": model.registered,
        "operations": operations,
        "limits": dict(vars(service.settings.limits)),
    }
