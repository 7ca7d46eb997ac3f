"""Training a network whose output is restricted to some vocabulary rows (`output_ids`) without touching the others.

The token matrix of the small network has 59,457 rows, of which its tables use a few thousand. Gradients, moments,
averages, norms, the exchange between ranks and checkpoints over all rows would cost a quarter of a step. So training
sees a network with only the scored rows, in which ids are the rows' columns, and the rows are written back when
somebody looks.

The rows in use get what they would get in the full matrix. The others, which never have a gradient, stay as they are,
whereas weight decay would shrink them all by the same factor.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import LongTensor, nn

from ofa.data.batch import Batch
from ofa.errors import OFAError
from ofa.model import OFAModel
from ofa.train.preemption import Pause

SPECIAL = [0, 1, 2, 3]
"""bos, pad, eos, unk: these ids mean the same in both networks."""


class CompactVocabulary:
    """A network with the scored rows of another one's token matrix; everything else is shared between the two."""

    def __init__(self, full: OFAModel):
        self.full = full
        self.ids = full.output_ids
        config = replace(full.config, vocabulary_size=len(self.ids), output_ids=None)
        self.net = OFAModel(config).to(self.ids.device)
        self.net.encoder, self.net.decoder = full.encoder, full.decoder
        with torch.no_grad():
            self.net.embed_tokens.weight.copy_(full.embed_tokens.weight[self.ids])
        self.column = torch.full((full.config.vocabulary_size,), -1)
        self.column[self.ids.cpu()] = torch.arange(len(self.ids))

    @classmethod
    def of(cls, net: nn.Module) -> "CompactVocabulary | None":
        """The compact form of a network, or None where there is nothing to gain."""
        if not isinstance(net, OFAModel) or net.output_ids is None or not net.embed_tokens.weight.requires_grad:
            return None
        return cls(net) if net.output_ids[: len(SPECIAL)].tolist() == SPECIAL else None

    def write_back(self) -> None:
        """Copy the trained rows into the full network."""
        trained = self.net.embed_tokens.weight
        if self.ids.device != trained.device:  # training has moved all that the two share
            self.full.embed_tokens.to(trained.device)
            self.full.output_ids = self.ids = self.ids.to(trained.device)
        with torch.no_grad():
            self.full.embed_tokens.weight[self.ids] = trained

    def batch(self, batch: Batch) -> Batch:
        """The batch in the compact network's ids.

        Raises:
            OFAError: a token is not among the network's `output_ids`.
        """
        allowed = batch.allowed
        if allowed is not None:
            # What the answer space allows beyond the scored rows cannot be produced anyway.
            token = self.column[allowed.token]
            scored = token >= 0
            allowed = replace(allowed, position=allowed.position[scored], token=token[scored])
        return replace(
            batch,
            source=self._columns(batch, batch.source),
            previous=self._columns(batch, batch.previous),
            target=self._columns(batch, batch.target),
            allowed=allowed,
        )

    def stream(self, stream) -> "_CompactStream":
        """The stream in the compact network's ids."""
        return _CompactStream(stream, self.batch)

    def validate(self, validate: Callable | None) -> Callable | None:
        """A validation of the full network."""
        if validate is None:
            return None

        def of_full(net: nn.Module, pause: Pause) -> Mapping[str, float]:
            self.write_back()
            self.full.eval()
            return validate(self.full, pause)

        return of_full

    def _columns(self, batch: Batch, tokens: LongTensor) -> LongTensor:
        columns = self.column[tokens]
        if (columns < 0).any():
            row = int((columns < 0).any(dim=1).nonzero()[0])
            missing = sorted(set(tokens[columns < 0].tolist()))
            raise OFAError(
                f"sample {batch.ids[row]!r} holds tokens that the network does not know: {missing[:10]}; its "
                "output_ids must cover the sources and targets of every table that is trained on"
            )
        return columns


class _CompactStream:
    """A stream that translates every batch."""

    def __init__(self, stream, translate: Callable[[Batch], Batch]):
        self._stream, self._translate = stream, translate
        self.groups = getattr(stream, "groups", [0])
        self.bad_rows = getattr(stream, "bad_rows", None)

    @property
    def step(self) -> int:
        return self._stream.step

    @step.setter
    def step(self, step: int) -> None:
        self._stream.step = step

    def __iter__(self) -> Iterator[Batch]:
        return map(self._translate, self._stream)
