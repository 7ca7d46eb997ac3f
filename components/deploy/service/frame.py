"""What surrounds every request: its id, its log line and metrics, security headers, the key, and the last resort."""

import asyncio
import hmac
import logging
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.deploy.service.errors import RequestError, Unauthorized
from components.deploy.service.logs import REQUEST_ID, fields, request_id
from components.deploy.service.metrics import Metrics

logger = logging.getLogger(__name__)

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_OPEN = ("/v2/health/", "/page/")
_GUARDED = ("/api/", "/v1/", "/v2")
_QUIET = ("/healthz", "/readyz", "/metrics", "/v2/health/")
"""Asked every few seconds by machines: not logged while the answers are as they should be."""

_LINGER = 10.0
"""Seconds for which the rest of a request that was answered early is still read."""


class Frame:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        metrics: where requests are counted.
        key: that API requests must carry; None for none.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, key: str | None):
        self._app, self._metrics, self._key = app, metrics, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; anything else, such as start and end of the server, passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, started = Headers(scope=scope), time.perf_counter()
        known = request_id(headers.get("x-request-id"))
        token = REQUEST_ID.set(known)
        scope["log"] = {}
        status, seconds, body = 0, None, _Body(headers, receive)

        async def send_framed(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer.update({"X-Request-ID": known} | {k: v for k, v in SECURITY_HEADERS.items() if k not in answer})
                answer.setdefault("Cache-Control", "no-store")
            if message["type"] != "http.response.body" or message.get("more_body"):
                await send(message)
                return
            await send(message | {"more_body": body.unread})
            seconds = time.perf_counter() - started
            if body.unread:
                await body.discard(_LINGER)
                await send({"type": "http.response.body"})

        try:
            self._guard(scope, headers)
            await self._app(scope, body.receive, send_framed)
        except Unauthorized as error:
            self._metrics.rejected.labels(error.code).inc()
            await refuse(error)(scope, receive, send_framed)
        except Exception:  # a defect: the caller has got its id, the log has the rest
            logger.exception("unexpected error")
        finally:
            self._record(scope, status, time.perf_counter() - started if seconds is None else seconds)
            REQUEST_ID.reset(token)

    def _guard(self, scope: Scope, headers: Headers) -> None:
        path = scope["path"]
        if self._key is None or not path.startswith(_GUARDED) or path.startswith(_OPEN) or scope["method"] == "OPTIONS":
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        given = given if kind.lower() == "bearer" else headers.get("x-api-key", "")
        if not hmac.compare_digest(given.strip().encode(), self._key.encode()):
            raise Unauthorized("send the key of this service as 'Authorization: Bearer KEY'")

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.requests.labels(route, status).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        if status in (200, 503) and scope["path"].startswith(_QUIET):
            return
        values = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(seconds * 1000, 1)}
        logger.info("request", extra=fields(**values, **scope["log"]))


class _Body:
    """The body of a request, which may be answered before it was read.

    A connection that is closed while bytes arrive is reset, and the client may lose an answer that it has not read yet.
    So the answer goes out whole, and is ended after the rest has come.
    """

    def __init__(self, headers: Headers, receive: Receive):
        self._receive = receive
        length = headers.get("content-length", "0")
        # Who waits to be told to go on has sent nothing, and after an answer will not.
        self.unread = (length != "0" or "transfer-encoding" in headers) and "expect" not in headers

    async def receive(self) -> Message:
        """The next part."""
        message = await self._receive()
        self.unread = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def discard(self, seconds: float) -> None:
        """Read the rest and forget it, for so long at most."""
        try:
            async with asyncio.timeout(seconds):
                while self.unread:
                    await self.receive()
        except TimeoutError:
            logger.info("stopped to read a request that was answered already")


def refuse(error: RequestError) -> JSONResponse:
    """The answer to a request that is not answered."""
    return problem(error.status, str(error), error.code, error.headers)


def problem(status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as JSON."""
    return JSONResponse({"error": message, "code": code, "request_id": REQUEST_ID.get()}, status, headers)
