"""The recorded network of the original, and one thread so that sums have one order."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ofa.checkpoint import load_fairseq
from ofa.data.batch import Batch
from ofa.model import OFAConfig, OFAModel


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recorded_net(golden):
    """Makes the recorded network in evaluation mode, without dropout and drop path."""
    # The recordings were made with several threads, which round otherwise than one.
    torch.set_num_threads(2)
    config, state = load_fairseq(golden / "ofa_micro_random.pt")

    def make(dtype: torch.dtype = torch.float32, **changes) -> OFAModel:
        off = {"dropout": 0.0, "encoder_drop_path": 0.0, "decoder_drop_path": 0.0}
        net = OFAModel(OFAConfig.from_dict(config.to_dict() | off | changes))
        net.load_state_dict({name: tensor for name, tensor in state.items() if name in net.state_dict()})
        return net.to(dtype).eval()

    return make


class RecordedBatch(Batch):
    """A recorded batch, whose pictures are normalized already."""

    @property
    def images_normalized(self):
        return self.images

    def of_type(self, dtype: torch.dtype) -> "RecordedBatch":
        """The batch with pictures of a data type."""
        return replace(self, images=self.images.to(dtype))


@pytest.fixture(scope="session")
def recorded_batch(golden):
    """Reads a batch of loss_micro.npz by its name, such as "base" or "pair/in/0"; arrays may replace its own."""
    file = np.load(golden / "loss_micro.npz")

    def read(name: str, **replaced) -> Batch:
        place = name if "/" in name else f"{name}/in"

        def array(key):
            value = file.get(f"{place}/{key}", file.get(f"{place}/net_input/{key}"))
            return None if value is None else torch.from_numpy(value)

        return RecordedBatch(
            **{
                "ids": [str(i) for i in range(len(array("src_tokens")))],
                "source": array("src_tokens"),
                "previous": array("prev_output_tokens"),
                "target": array("target"),
                "images": array("patch_images").float(),
                "image_mask": array("patch_masks"),
                "code_mask": array("code_masks"),
                "confidence": array("conf"),
            }
            | replaced
        )

    return read
