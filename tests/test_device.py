"""Where networks compute, by name."""

import pytest
import torch

from ofa.device import choose_device, exact_float32
from ofa.errors import OFAError


def test_without_a_gpu_auto_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device() == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(OFAError, match="device cuda is asked for, but torch finds 0 GPUs; take auto or cpu"):
        choose_device("cuda")
    with pytest.raises(OFAError, match="no device 'gpu'; name one of auto, cpu, cuda, cuda:1"):
        choose_device("gpu")


def test_processes_take_turns_with_the_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device("auto", rank).index for rank in range(3)] == [0, 1, 0]
    assert choose_device("cuda:1", 0) == torch.device("cuda", 1) == choose_device(torch.device("cuda", 1))
    with pytest.raises(OFAError, match="cuda:2 is asked for, but torch finds 2 GPUs"):
        choose_device("cuda:2")


BACKENDS = (torch.backends.cudnn, torch.backends.cuda.matmul)


@pytest.fixture(params=[True, False])
def allowed(request):
    """Whether TF32 is allowed outside."""
    for backend in BACKENDS:
        before = backend.allow_tf32
        backend.allow_tf32 = request.param
        request.addfinalizer(lambda backend=backend, before=before: setattr(backend, "allow_tf32", before))
    return request.param


def test_fp32_is_no_tf32_inside_and_what_it_was_outside(allowed):
    for precision, inside in (("fp32", False), ("bf16", allowed)):
        with pytest.raises(KeyError), exact_float32(precision):
            assert [backend.allow_tf32 for backend in BACKENDS] == [inside, inside]
            raise KeyError
        assert [backend.allow_tf32 for backend in BACKENDS] == [allowed, allowed]
