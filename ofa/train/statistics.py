"""What a forward pass changes in a network while it trains.

Every rank has its own running statistics of batch norm, those of its share of the rows. Where they count, in evaluation
mode and in what is kept, they are rank 0's.
"""

from torch import Tensor, nn


def batch_statistics(net: nn.Module) -> list[Tensor]:
    """The running statistics of batch norm, live."""
    names = ("running_mean", "running_var", "num_batches_tracked")
    return [buffer for name, buffer in net.named_buffers() if name.endswith(names)]


class BatchStatistics:
    """The running statistics of batch norm as they are now."""

    def __init__(self, net: nn.Module):
        self.tensors = batch_statistics(net)
        self.values = [b.clone() for b in self.tensors]

    def restore(self) -> None:
        """Undo what has changed them since."""
        for tensor, value in zip(self.tensors, self.values, strict=True):
            tensor.copy_(value)
