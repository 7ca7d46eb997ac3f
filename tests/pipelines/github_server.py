"""A server that does what `.ci/post-report` asks of GitHub Enterprise: comments of pull requests, and git over HTTPS.

It is no GitHub: it keeps comments and answers as the description of GitHub's REST API says; git's own program serves
the repository. Whoever comes without the token is refused.
"""

import base64
import json
import os
import re
import ssl
import subprocess
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.json_handler import JSONHandler

PROJECT = "owner/project"
TOKEN = "secret-token"
PAGE = 2
"""Comments on a page, however many are asked for: GitHub may give fewer."""
API = f"/api/v3/repos/{PROJECT}/issues"


class GitHub:
    """The server of one project.

    Attributes: `url`; `environment`, the variables with which programs come to this server; `repository`, a folder;
    `comments`, pairs of the number of a pull request and the text, in the order of their ids, which count from 1.
    """

    def __init__(self, folder: Path):
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        self.root, self.repository = folder / "git", folder / "git" / f"{PROJECT}.git"
        self.comments: list[tuple[int, str]] = []
        self.lock = threading.Lock()
        subprocess.run(["git", "init", "--quiet", "--bare", self.repository], check=True)
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = ThreadingHTTPServer(("localhost", 0), type("Handler", (_Handler,), {"github": self}))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"
        self.environment = {
            "GH_TOKEN": TOKEN,
            "GH_CONFIG_DIR": str(folder / "gh"),
            "GITHUB_REPOSITORY": PROJECT,
            "GITHUB_SERVER_URL": self.url,
            "GIT_SSL_CAINFO": str(certificate),
            "GIT_TERMINAL_PROMPT": "0",
            "SSL_CERT_FILE": str(certificate),
        }
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(JSONHandler):
    github: GitHub

    def do_GET(self):
        self.respond()

    def do_POST(self):
        self.respond()

    def do_PATCH(self):
        self.respond()

    def respond(self):
        path = urlsplit(self.path).path
        basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.headers["Authorization"] not in (f"token {TOKEN}", f"Bearer {TOKEN}", f"Basic {basic}"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith(f"/{PROJECT}.git/"):
            self._git(path)
        elif match := re.fullmatch(rf"{API}/(\d+)/comments", path):
            self._of_pull_request(int(match[1]))
        elif (match := re.fullmatch(rf"{API}/comments/(\d+)", path)) and self.command == "PATCH":
            with self.github.lock:
                number, _ = self.github.comments[int(match[1]) - 1]
                self.github.comments[int(match[1]) - 1] = number, json.loads(self.body())["body"]
            self.send({"id": int(match[1])})
        else:
            self.send({"message": "Not Found"}, 404)

    def _of_pull_request(self, number: int) -> None:
        with self.github.lock:
            if self.command == "POST":
                self.github.comments.append((number, json.loads(self.body())["body"]))
                self.send({"id": len(self.github.comments)}, 201)
                return
            found = [{"id": n, "body": text} for n, (of, text) in enumerate(self.github.comments, 1) if of == number]
        page = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
        following = f"{self.github.url}{API}/{number}/comments?page={page + 1}"
        headers = {"Link": f'<{following}>; rel="next"'} if len(found) > page * PAGE else {}
        self.send(found[(page - 1) * PAGE :][:PAGE], headers=headers)

    def _git(self, path: str) -> None:
        content = self.body()
        variables = {
            "GIT_PROJECT_ROOT": str(self.github.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": urlsplit(self.path).query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "x-access-token",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(content)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, input=content, stdout=subprocess.PIPE, env=os.environ | variables, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in (fields | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
