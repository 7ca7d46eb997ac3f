"""A download that is killed leaves nothing under its name and goes on where it stopped."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from components.preprocess.fetch import fetch
from components.preprocess.manifest import NAME, Manifest


@pytest.fixture
def server(raw, tmp_path):
    """A web server of the raw data that counts what it gave, and stops answering after a while when told to."""
    folder = shutil.copytree(raw, tmp_path / "served")
    (folder / NAME).unlink()
    asked, slow = Counter(), threading.Event()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            if slow.is_set() and asked.total() > 36:
                time.sleep(60)
            super().do_GET()
            if not self.path.endswith("/"):
                asked[self.path] += 1

        def log_message(self, *arguments):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}/", asked, slow
    running.shutdown()


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


def test_a_killed_download_goes_on(server, raw, root, tmp_path):
    address, asked, slow = server
    out = tmp_path / "data" / "raw"
    slow.set()
    code = f"from components.preprocess.fetch import fetch; fetch({str(out)!r}, source={address!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
    staging = out.with_name(".raw.partial")
    wait_until(lambda: asked.total() > 36)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    given = set(asked)

    slow.clear()
    before = Counter(asked)
    fetch(str(out), source=address)
    assert Manifest.load(out).files == Manifest.load(raw).files
    assert not staging.exists()
    # Files that were on their way when it was killed, sixteen at a time, are asked for again; finished ones are not.
    assert len([path for path in given if asked[path] == before[path]]) >= 16
