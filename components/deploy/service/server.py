"""Runs the service until it is told to stop."""

import logging
import signal
import socket
import threading
from pathlib import Path
from types import FrameType

from components.deploy.service.logs import configure
from components.deploy.service.settings import ServiceSettings
from ofa.errors import OFAError

logger = logging.getLogger(__name__)


def serve(settings: ServiceSettings) -> None:
    """Answer requests until SIGTERM or Ctrl-C, then finish those that are here.

    The process listens within seconds and is ready when the model is loaded.

    Raises:
        OFAError: there is no such model, the port is taken, or the key file cannot be read.
    """
    configure()
    key = read_key(settings.api_key_file)
    listener = _listen(settings)

    import uvicorn

    from components.deploy.service.app import create_app
    from components.deploy.service.keeper import Keeper
    from components.deploy.service.metrics import Metrics
    from components.deploy.service.service import Service
    from components.deploy.service.sources import source

    problems: list[Exception] = []

    def fail(error: Exception) -> None:
        problems.append(error)
        server.should_exit = True

    metrics = Metrics()
    service = Service(settings, Keeper(source(settings), settings.poll_seconds, metrics, fail), metrics)

    class Server(uvicorn.Server):
        """Not ready from the first signal on; then uvicorn's own shutdown, which answers what was begun."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if sig == signal.SIGTERM and settings.drain_delay_seconds and not service.draining:
                later = threading.Timer(settings.drain_delay_seconds, setattr, (self, "should_exit", True))
                later.daemon = True
                later.start()
            else:
                super().handle_exit(sig, frame)
            service.drain()

    config = uvicorn.Config(
        create_app(service, key),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(settings.drain_seconds),
    )
    server = Server(config)
    host, port = listener.getsockname()[:2]
    logger.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    # uvicorn raises the signal again when it has stopped; by then everything is done.
    previous = {sig: signal.signal(sig, lambda *_: None) for sig in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for sig, handler in previous.items():
            signal.signal(sig, handler)
    if problems:
        raise problems[0]
    logger.info("stopped")


def read_key(path: str | None) -> str | None:
    """The key in a file; None for no file. Raises OFAError where there is none in it."""
    if path is None:
        return None
    try:
        key = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise OFAError(f"cannot read the key file {path}: {error.strerror}") from error
    if not key:
        raise OFAError(f"the key file {path} is empty; write the key into it")
    return key


def _listen(settings: ServiceSettings) -> socket.socket:
    """A socket at the address, taken before anything heavy is done: a port in use is known at once."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise OFAError(
            f"cannot listen at {settings.host}:{settings.port}: {error.strerror}; choose another port or address"
        ) from error
    return listener
