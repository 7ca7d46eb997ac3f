"""Load on the service: `make bench`. Throughput with and without batching, then two minutes at twice the capacity.

Every request carries a picture of its own, whose answer is known beforehand: each network, alone, without any service,
has said it. A request that is refused with 429 was not lost; one that gets another picture's answer was mixed up.
"""

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
import torch
from PIL import Image

from ofa import OFA
from ofa.data.images import open_image
from ofa.model import OFAConfig, OFAModel
from tests.components.service.running import Server, as_file

TOLERANCE = 2e-3
"""Scores of a sample alone and in a batch differ by rounding; captions must be equal."""


@dataclass(frozen=True)
class Setting:
    """How one network is put to the test."""

    side: int
    """Pixels of a side of the pictures that it reads."""
    pictures: int
    queue: int
    """Places in the service, and clients that fill them while its capacity is measured."""


SETTINGS = {"nano": Setting(side=128, pictures=100, queue=32), "base": Setting(side=256, pictures=12, queue=8)}

ROOT = Path(__file__).parents[2]


@dataclass
class Outcome:
    """What became of the requests of one run."""

    seconds: float
    statuses: Counter = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Seconds, of those that were answered."""
    mixed_up: int = 0
    queue: int = 0
    """Largest number of items in the service that was seen."""
    memory: list[int] = field(default_factory=list)
    """Resident bytes of the service, a number a second."""

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return self.statuses[200] / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answers came."""
        return 1000 * sorted(self.latencies)[min(len(self.latencies) - 1, math.floor(share * len(self.latencies)))]


def make_network(folder: Path, size: str, side: int) -> None:
    """A captioning network of random weights whose answers depend on the picture."""
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset(size))
    with torch.no_grad():
        net.encoder.image_projection.weight.mul_(30)
        for layer in net.decoder.layers:
            layer.cross_attention_output_norm.weight.mul_(8)
    OFA(net, {"caption": {"patch_image_size": side}}, "cpu").save_pretrained(folder)


def make_pictures(count: int) -> list[bytes]:
    """Files of pictures, each of its own colors and size."""
    rng = random.Random(0)
    found = []
    for number in range(count):
        image = Image.new("RGB", (200 + number, 300 - number), tuple(rng.randrange(256) for _ in range(3)))
        image.paste(tuple(rng.randrange(256) for _ in range(3)), (20, 20, 120 + rng.randrange(60), 150))
        found.append(as_file(image))
    return found


def answers_alone(folder: Path, pictures: list[bytes]) -> list[tuple[str, float]]:
    """Caption and score of each picture, by the network without a service."""
    model = OFA.from_pretrained(folder, "cpu")
    found = [model.predict(model.task("caption"), [{"image": open_image(picture)}])[0] for picture in pictures]
    return [(prediction.value, prediction.score) for prediction in found]


@contextmanager
def service(folder: Path, place: Path, **settings):
    """The service in a process of its own, ready."""
    program = (
        "import json, sys\nfrom components.deploy.service.server import serve\n"
        "from components.deploy.service.settings import ServiceSettings\nfrom ofa.settings import build\n"
        "serve(build(ServiceSettings, json.loads(sys.argv[1]), 'settings'))"
    )
    settings = {"model": str(folder), "port": 0} | settings
    log = place / f"log{time.monotonic_ns()}"
    with open(log, "w") as file:
        command = [sys.executable, "-c", program, json.dumps(settings)]
        server = Server(subprocess.Popen(command, cwd=ROOT, stderr=file), log)
    try:
        server.wait_until(server.is_listening, 600)
        server.wait_until(server.is_ready, 600)
        yield server
        assert server.process.poll() is None, f"the service ended:\n{log.read_text()}"
    finally:
        server.process.terminate()
        server.process.wait()


async def ask(session: aiohttp.ClientSession, url: str, picture: bytes) -> tuple[int, dict]:
    """Status and body of a request for the caption of a picture."""
    form = aiohttp.FormData()
    form.add_field("image", picture, filename="a")
    async with session.post(f"{url}/api/caption", data=form) as answer:
        return answer.status, await answer.json()


def connections() -> aiohttp.ClientSession:
    """As many as there are requests at a time, each of which may take as long as the service lets it."""
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))


class Load:
    """Sends requests to a server and judges what comes back."""

    def __init__(self, server: Server, pictures: list[bytes], expected: list[tuple[str, float]]):
        self.server, self.pictures, self.expected = server, pictures, expected
        self.process = psutil.Process(server.process.pid)

    async def one(self, session: aiohttp.ClientSession, number: int, outcome: Outcome) -> None:
        """A request for picture `number` modulo their count; a broken connection is status 0."""
        number %= len(self.pictures)
        started = time.perf_counter()
        try:
            status, body = await ask(session, self.server.url, self.pictures[number])
        except (aiohttp.ClientError, OSError, ValueError):
            status, body = 0, {}
        outcome.statuses[status] += 1
        if status == 200:
            outcome.latencies.append(time.perf_counter() - started)
            outcome.mixed_up += not self.is_right(number, body["results"][0])

    def is_right(self, number: int, result: dict) -> bool:
        """Whether a result is the answer to this picture."""
        caption, score = self.expected[number]
        size = open_image(self.pictures[number]).size
        same = (result["width"], result["height"]) == size and result["caption"] == caption
        return same and abs(result["score"] - score) <= TOLERANCE

    async def closed(self, seconds: float, clients: int) -> Outcome:
        """So many clients, each of whom asks again when answered: what the service can do."""
        outcome = Outcome(seconds)
        end = time.perf_counter() + seconds

        async def client(number: int) -> None:
            while time.perf_counter() < end:
                await self.one(session, number, outcome)
                number += clients

        started = time.perf_counter()
        async with connections() as session:
            await asyncio.gather(*(client(number) for number in range(clients)))
        outcome.seconds = time.perf_counter() - started
        return outcome

    async def open(self, seconds: float, rate: float) -> Outcome:
        """Requests at a rate (a second) whatever becomes of them; memory and queue are watched."""
        outcome, tasks = Outcome(seconds), set()
        watcher = asyncio.create_task(self.watch(outcome))
        started = time.perf_counter()
        async with connections() as session:
            for number in range(max(1, round(seconds * rate))):
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
                tasks.add(asyncio.create_task(self.one(session, number, outcome)))
            await asyncio.gather(*tasks)
        outcome.seconds = time.perf_counter() - started
        watcher.cancel()
        return outcome

    async def watch(self, outcome: Outcome) -> None:
        while True:
            outcome.memory.append(self.process.memory_info().rss)
            admitted = await asyncio.to_thread(self.server.metric, "ofa_items_admitted")
            outcome.queue = max(outcome.queue, int(admitted))
            await asyncio.sleep(1)


def bench(size: str, seconds: float, warm: float, place: Path, deadline: float = 300.0) -> dict:
    """The numbers of one network, and what was wrong.

    Args:
        size: preset of the network.
        seconds: of the load at twice the capacity.
        warm: seconds of each measurement of the capacity.
        place: folder for what is made.
        deadline: seconds that a request may take.
    """
    setting = SETTINGS[size]
    folder, pictures = place / size, make_pictures(setting.pictures)
    make_network(folder, size, setting.side)
    expected = answers_alone(folder, pictures)
    common = {"max_queue": setting.queue, "deadline_seconds": deadline, "limits": {"items": 8}}
    numbers = {"network": size, "side": setting.side, "pictures": len(pictures), "different": len(set(expected))}

    with service(folder, place, max_batch=1, **common) as server:
        single = asyncio.run(Load(server, pictures, expected).closed(warm, setting.queue))
    with service(folder, place, max_batch=16, **common) as server:
        load = Load(server, pictures, expected)
        together = asyncio.run(load.closed(warm, setting.queue))
        overload = asyncio.run(load.open(seconds, 2 * together.throughput))
        refused = server.metric('ofa_rejected_total{reason="busy"}')
    numbers |= {"one by one": single.throughput, "in batches": together.throughput}
    numbers |= {"asked for": 2 * together.throughput, "answered": overload.throughput, "seconds": overload.seconds}
    numbers |= {f"p{round(100 * p)} ms": overload.percentile(p) for p in (0.5, 0.95, 0.99)}
    half = len(overload.memory) // 2
    numbers |= {
        "statuses": dict(overload.statuses),
        "mixed up": sum(outcome.mixed_up for outcome in (single, together, overload)),
        "largest queue": overload.queue,
        "queue": setting.queue,
        "memory MB": [round(max(part) / 2**20) for part in (overload.memory[:half], overload.memory[half:]) if part],
    }
    wrong = problems([single, together, overload], setting.queue, refused - overload.statuses[429])
    return numbers | {"problems": wrong}


def problems(outcomes: list[Outcome], queue: int, uncounted: float) -> list[str]:
    """What a load must not bring about."""
    found, last = [], outcomes[-1]
    for outcome in outcomes:
        if outcome.mixed_up:
            found.append(f"{outcome.mixed_up} answers belong to another picture")
        if others := {status: n for status, n in outcome.statuses.items() if status not in (200, 429)}:
            found.append(f"requests that were neither answered nor refused for want of room: {others}")
    if not last.statuses[429]:
        found.append("nothing was refused at twice the capacity")
    if uncounted:
        found.append(f"{uncounted:g} refusals are not in the metrics")
    if last.queue > queue:
        found.append(f"{last.queue} items in the service, more than {queue}")
    third = len(last.memory) // 3
    if third:
        before, after = (statistics.median(part) for part in (last.memory[third : 2 * third], last.memory[-third:]))
        if after > 1.1 * before:
            found.append(f"memory grew from {before / 2**20:.0f} to {after / 2**20:.0f} MB in the second half")
    return found


def table(found: list[dict]) -> str:
    """The numbers of several networks as a table for docs/serving.md."""

    def texts(numbers: dict) -> dict[str, str]:
        statuses, seconds = numbers["statuses"], [numbers[f"p{share} ms"] / 1000 for share in (50, 95, 99)]
        known = [statuses.get(200, 0), statuses.get(429, 0)]
        rates = {name: f"{numbers[name]:.3g}" for name in ("one by one", "in batches", "asked for", "answered")}
        return {
            "": f"`{numbers['network']}`, {numbers['side']} pixels",
            "load average before the run": f"{numbers['load average before']:.1f}",
            "without batches, with batches (answers/s)": f"{rates['one by one']}, {rates['in batches']}",
            "twice the capacity: asked for, answered (a second)": f"{rates['asked for']}, {rates['answered']}",
            "p50, p95, p99 of the answered (s)": ", ".join(f"{value:.3g}" for value in seconds),
            "answered, refused with 429, anything else": ", ".join(
                map(str, [*known, sum(statuses.values()) - sum(known)])
            ),
            "answers that belong to another picture": str(numbers["mixed up"]),
            "largest number of items in the service, of": f"{numbers['largest queue']} of {numbers['queue']}",
            "memory: largest in the first, in the second half (MB)": ", ".join(map(str, numbers["memory MB"])),
        }

    columns = [texts(numbers) for numbers in found]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    rows.insert(1, ["---"] * (1 + len(columns)))
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=["nano", "base"], metavar="NETWORK")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--warm", type=float, default=20, help="seconds of each measurement of the capacity")
    parser.add_argument("--out", default="", help="file for the numbers as JSON")
    options = parser.parse_args()
    if unknown := set(options.networks) - SETTINGS.keys():
        parser.error(f"no setting for {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    found = []
    with tempfile.TemporaryDirectory() as place:
        for size in options.networks:
            busy = os.getloadavg()[0]
            numbers = bench(size, options.seconds, options.warm, Path(place)) | {"load average before": busy}
            print(json.dumps(numbers, indent=2), flush=True)
            found.append(numbers)
    print(f"\n{table(found)}\n")
    if options.out:
        Path(options.out).write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(any(numbers["problems"] for numbers in found))


if __name__ == "__main__":
    main()
