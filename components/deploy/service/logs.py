"""Logs: a JSON object a line for machines, a short line for a terminal."""

import json
import logging
import re
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request that is being answered."""

_GOOD_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


def request_id(given: str | None) -> str:
    """The caller's id of a request where it is a plain word, else a new one."""
    return given if given and _GOOD_ID.fullmatch(given) else uuid.uuid4().hex


def configure(terminal: bool | None = None) -> None:
    """Send all logs to standard error; by default in words for a terminal, else as JSON."""
    terminal = sys.stderr.isatty() if terminal is None else terminal
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_TextFormatter() if terminal else _JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in ("alembic", "mlflow", "httpx", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def fields(**values: Any) -> dict[str, Any]:
    """Values to log beside a message: `logger.info("loaded", extra=fields(version="3"))`."""
    return {"fields": values}


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (known := REQUEST_ID.get()) is not None:
            line["request_id"] = known
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        known = "".join(f" {key}={value}" for key, value in getattr(record, "fields", {}).items())
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{time} {level}{record.getMessage()}{known}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text
