"""Problems of a request, each with the HTTP status that says so."""

from ofa.errors import OFAError


class RequestError(OFAError):
    """A request that is not answered; the message tells the caller what to change."""

    status = 400
    code = "bad_request"
    headers: dict[str, str] = {}


class BadImage(RequestError):
    """A picture that cannot be used."""

    code = "bad_image"


class Unauthorized(RequestError):
    """The key is missing or wrong."""

    status = 401
    code = "unauthorized"
    headers = {"WWW-Authenticate": "Bearer"}


class NotFound(RequestError):
    """No such model, version or task."""

    status = 404
    code = "not_found"


class TooLarge(RequestError):
    """More bytes than are read."""

    status = 413
    code = "too_large"


class UnsupportedBody(RequestError):
    """Neither multipart nor JSON."""

    status = 415
    code = "unsupported_body"


class Busy(RequestError):
    """The queue is full."""

    status = 429
    code = "busy"
    headers = {"Retry-After": "1"}


class NotReady(RequestError):
    """No model is loaded yet."""

    status = 503
    code = "not_ready"
    headers = {"Retry-After": "2"}


class DeadlineExceeded(RequestError):
    """The answer took too long."""

    status = 504
    code = "deadline_exceeded"
