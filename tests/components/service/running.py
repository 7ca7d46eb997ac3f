"""A service in a process of its own, and how to talk to it."""

import base64
import io
import json
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import requests


@dataclass
class Server:
    """A running service."""

    process: subprocess.Popen
    log: Path
    url: str = ""

    def get(self, path, **options):
        return requests.get(self.url + path, timeout=30, **options)

    def post(self, path, **options):
        return requests.post(self.url + path, timeout=30, **options)

    def ask(self, operation, picture, **fields):
        """The response to a form with one picture."""
        return self.post(f"/api/{operation}", files={"image": picture}, data=fields)

    def metric(self, name):
        """The sum of a metric's numbers over its labels."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def records(self):
        """What is in the log; the line that is being written is left out."""
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def wait_until(self, condition, seconds=120):
        """Wait for a condition."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"waited {seconds} s:\n{self.log.read_text()}"
            time.sleep(0.05)

    def is_listening(self):
        """Whether the log says where; then the address is known."""
        found = [r["message"] for r in self.records() if r["message"].startswith("listening on ")]
        self.url = found[0].removeprefix("listening on ") if found else ""
        return bool(found)

    def is_ready(self):
        """Whether a load balancer would send requests."""
        return self.get("/readyz").status_code == 200

    def stop(self):
        """Send SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def as_file(image, kind="PNG", **options):
    """The bytes of a picture file."""
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def as_base64(data):
    """Bytes as base64 text."""
    return base64.b64encode(data).decode()
