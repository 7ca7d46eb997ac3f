"""Servers that tests start: each on a port of its own, in a folder of its own, stopped at the end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 300
"""Seconds that a server has on a busy machine."""


def free_port():
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(command, log, ready, stop=signal.SIGTERM, **options):
    """A process while the block runs, entered when `ready()` is true, ended by the signal `stop`."""
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
    try:
        end = time.monotonic() + PATIENCE
        while not ready():
            assert process.poll() is None, f"{command[0]} ended:\n{Path(log).read_text()[-2000:]}"
            assert time.monotonic() < end, f"{command[0]} took too long:\n{Path(log).read_text()[-2000:]}"
            time.sleep(0.2)
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url):
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def mlflow_server(folder, port, backend, artifacts, **environment):
    """An MLflow server that keeps its data in `backend` and hands files on to `artifacts`; its address."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", backend, "--artifacts-destination", artifacts]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"
    options = {"cwd": folder, "env": {**os.environ, **quiet, **environment}}
    with running(command, Path(folder) / "mlflow.log", lambda: answers(f"{url}/health"), **options):
        yield url


def listens(port):
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def program(name):
    """The path of a program: installed with Python packages, on the path, or one of Debian's PostgreSQL; or None."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return found or next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


@contextmanager
def postgres():
    """A PostgreSQL server; the address of a database in it. It does not run as root, so another user then does."""
    place, port = Path(tempfile.mkdtemp(prefix="postgres-")), free_port()
    other = {"user": "nobody"} if os.getuid() == 0 else {}
    if other:
        shutil.chown(place, "nobody")
    data = place / "data"
    try:
        options = ["-D", data, "-U", "ofa", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run([program("initdb"), *options], cwd=place, check=True, capture_output=True, **other)
        command = [program("postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        with running(command, place / "log", lambda: listens(port), signal.SIGINT, cwd=place, **other):
            yield f"postgresql+psycopg2://ofa@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(place)
