"""What stand-ins for HTTP servers share: quiet, and answers of JSON."""

import json
from http.server import BaseHTTPRequestHandler


class JSONHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *_):
        pass

    def send(self, content, status=200, headers=None):
        """Answer with a JSON value."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        """What was sent."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))
