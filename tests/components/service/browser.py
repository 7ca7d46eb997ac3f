"""A real Chromium without a window, driven through its DevTools protocol."""

import base64
import json
import shutil
import subprocess
import time
from itertools import count

import pytest
import requests
import websocket

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)

needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium: apt-get install chromium")

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking "
    "--disable-component-update --disable-sync --no-first-run --remote-debugging-port=0 --remote-allow-origins=*"
).split()


class Browser:
    """One page. `run` evaluates JavaScript in it, `events` collects what the page says and asks the network for."""

    def __init__(self, profile, width=1280, height=800, dark=False):
        command = [PROGRAM, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = profile / "DevToolsActivePort"
        wait(lambda: port_file.exists() and port_file.read_text().strip(), 60)
        port = port_file.read_text().split()[0]
        wait(lambda: self._pages(port), 30)
        self._socket = websocket.create_connection(self._pages(port)[0]["webSocketDebuggerUrl"], timeout=60)
        self._ids, self.events = count(1), []
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _pages(port):
        targets = requests.get(f"http://127.0.0.1:{port}/json", timeout=10).json()
        return [target for target in targets if target["type"] == "page"]

    def call(self, method, **parameters):
        """A command of the protocol and its result."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, address):
        self.call("Page.navigate", url=address)

    def run(self, code):
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, code, seconds=30):
        """Wait until a JavaScript expression is true, or an element; its value."""
        return wait(lambda: self.run(f"((value) => value instanceof Node || value)({code})"), seconds, code)

    def click(self, selector):
        self.wait_for(f"document.querySelector({selector!r})")
        self.run(f"document.querySelector({selector!r}).click()")

    def type(self, selector, text):
        self.run(f"document.querySelector({selector!r}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key, **more):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **more)

    def choose_file(self, selector, path):
        """Give a file to an input, as the dialog would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def screenshot(self):
        """The bytes of a PNG file."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def addresses(self):
        """Everything that the page asked for."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def problems(self):
        """Errors that the page or the browser reported, such as a breach of the content security policy."""
        found = [event["params"] for event in self.events if event["method"] == "Runtime.exceptionThrown"]
        logged = [event["params"]["entry"] for event in self.events if event["method"] == "Log.entryAdded"]
        return found + [entry for entry in logged if entry["level"] == "error" and entry["source"] != "network"]

    def close(self):
        self._socket.close()
        self.process.terminate()
        self.process.wait(30)


def wait(condition, seconds, what=""):
    """Until the condition holds; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.05)
    return value
