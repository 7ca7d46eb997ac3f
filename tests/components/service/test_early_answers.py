"""A request that is refused before it was read gets its answer whole, also where the connection is closed after it.

A closed connection on which bytes still arrive is reset, and with it goes what the client has not read: these clients
speak through sockets, send all that they announced, and read only then.
"""

import json
import socket
import time
from urllib.parse import urlsplit

import pytest

SIZE = 3_000_000
"""Bytes of a request: far more than sockets hold."""


@pytest.fixture(scope="module")
def busy(launch, models, tmp_path_factory):
    """A server with one place, and with a key."""
    key = tmp_path_factory.mktemp("secret") / "key"
    key.write_text("open sesame")
    return launch(model=models, max_queue=1, limits={"items": 1, "body_bytes": SIZE}, api_key_file=str(key))


def connect(server, path, *headers, key="open sesame"):
    """A connection that has sent the head of a request."""
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=20)
    lines = [f"POST {path} HTTP/1.1", "Host: ofa", f"X-API-Key: {key}", *headers]
    connection.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    return connection


@pytest.fixture
def full(busy):
    """The server while its place is taken by a request that goes on arriving."""
    with connect(busy, "/api/caption", f"Content-Length: {SIZE}"):
        busy.wait_until(lambda: busy.metric("ofa_items_admitted") == 1)
        yield busy
    busy.wait_until(lambda: busy.metric("ofa_items_admitted") == 0)


def send(server, path, size, announced=True, key="open sesame"):
    """Send a request of so many bytes slowly, then read: status and body of the answer."""
    length = f"Content-Length: {size}" if announced else "Transfer-Encoding: chunked"
    with connect(server, path, "Connection: close", length, key=key) as connection:
        time.sleep(0.3)  # the answer is there before the rest is sent
        part = bytes(size // 10)
        for _ in range(10):
            connection.sendall(part if announced else b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(0.02)
        if not announced:
            connection.sendall(b"0\r\n\r\n")
        answer = b""
        while received := connection.recv(1 << 16):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_the_queue_is_full(full):
    for announced in (True, False):
        status, body = send(full, "/api/caption", SIZE, announced)
        assert status == 429 and body["code"] == "busy"


@pytest.mark.parametrize("announced", [True, False])
def test_too_many_bytes(busy, announced):
    status, body = send(busy, "/v1/models/ofa:predict", 2 * SIZE, announced)
    assert status == 413 and body["code"] == "too_large"
    assert busy.metric("ofa_items_admitted") == 0


def test_nothing_there_and_no_key(busy):
    assert send(busy, "/nowhere", SIZE)[0] == 404
    assert send(busy, "/api/caption", SIZE, key="sesame")[0] == 401


def test_who_announces_and_does_not_send_is_not_waited_for(busy):
    """Neither is the answer held back nor the connection kept for ever."""
    started, answer = time.monotonic(), b""
    with connect(busy, "/nowhere", "Connection: close", f"Content-Length: {SIZE}") as connection:
        while b'"request_id"' not in answer:
            answer += connection.recv(1 << 16)
        assert time.monotonic() - started < 5
        assert connection.recv(1) == b"" and 5 < time.monotonic() - started < 20


def test_who_waits_to_be_told_is_not_told_to_send(busy):
    answer = b""
    headers = ("Connection: close", "Expect: 100-continue", f"Content-Length: {SIZE}")
    with connect(busy, "/nowhere", *headers) as connection:
        started = time.monotonic()
        while received := connection.recv(1 << 16):
            answer += received
    assert answer.startswith(b"HTTP/1.1 404") and time.monotonic() - started < 5
