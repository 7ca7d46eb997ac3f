"""How probable the network finds outputs that are given."""

import torch
from torch import FloatTensor

from ofa.data.batch import PAD, Batch
from ofa.generate.batch import encode
from ofa.model import OFAModel


@torch.no_grad()
def log_likelihood(net: OFAModel, batch: Batch) -> FloatTensor:
    """(B,) mean log-probability (nats a token) of each sample's target; -inf if the network cannot say a token of it.

    Raises:
        SearchError: the network is in training mode.
    """
    encoded = encode(net, batch)
    features = net.decode(batch.previous, encoded, batch.code_mask, features_only=True)
    rows, places = (batch.target != PAD).nonzero(as_tuple=True)
    columns = net.columns(batch.target[rows, places])
    log_probs = net.project(features[rows, places]).float().log_softmax(-1)
    values = log_probs.gather(1, columns.clamp(min=0)[:, None]).squeeze(1).masked_fill(columns < 0, -torch.inf)
    sums = values.new_zeros(len(batch)).index_add(0, rows, values)
    return sums / (batch.target != PAD).sum(1)
