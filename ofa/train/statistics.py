"""What a forward pass changes in a network while it trains."""

from torch import nn


class BatchStatistics:
    """The running statistics of batch norm, which a forward pass changes, as they are now."""

    def __init__(self, net: nn.Module):
        names = ("running_mean", "running_var", "num_batches_tracked")
        self.tensors = [buffer for name, buffer in net.named_buffers() if name.endswith(names)]
        self.values = [b.clone() for b in self.tensors]

    def restore(self) -> None:
        """Undo what has changed them since."""
        for tensor, value in zip(self.tensors, self.values, strict=True):
            tensor.copy_(value)
