"""Several processes, as a launcher starts them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.context import ForkProcess

import torch


def start(ranks: int, run: Callable[[], None]) -> list[ForkProcess]:
    """What torchrun does, without importing torch anew in every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}

    def rank(number: int) -> None:
        os.environ.update(common, RANK=str(number), LOCAL_RANK=str(number))
        torch.set_num_threads(1)
        run()

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=rank, args=(number,)) for number in range(ranks)]
    for process in processes:
        process.start()
    return processes


def fork(ranks: int, run: Callable[[], None], exitcode: int = 0) -> None:
    """Run in several processes to the end."""
    for process in start(ranks, run):
        process.join(timeout=300)
        assert process.exitcode == exitcode
