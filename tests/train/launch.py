"""Several processes, as a launcher starts them."""

import multiprocessing
import os
import socket
from collections.abc import Callable

import torch


def fork(ranks: int, run: Callable[[], None], exitcode: int = 0) -> None:
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
    for process in processes:
        process.join(timeout=300)
        assert process.exitcode == exitcode
