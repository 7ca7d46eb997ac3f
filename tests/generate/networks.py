"""Small networks for tests of the search."""

from dataclasses import dataclass

import torch

from ofa.model import OFAConfig, OFAModel


@dataclass
class Inputs:
    """What `generate` reads of a batch."""

    source: torch.Tensor
    images: torch.Tensor | None = None
    image_mask: torch.Tensor | None = None
    prompt: torch.Tensor | None = None
    code_mask: torch.Tensor | None = None
    seeds: list | None = None

    def inputs(self):
        return {"source_tokens": self.source, "images": self.images, "image_mask": self.image_mask}

    def to(self, device):
        return Inputs(*(part.to(device) if isinstance(part, torch.Tensor) else part for part in vars(self).values()))

    def select(self, rows):
        return Inputs(*(None if part is None else part[rows] for part in vars(self).values()))


def small_network(output_ids=None, seed=0):
    """A random network over 64 ids whose distributions are peaked enough for beams to differ."""
    torch.manual_seed(seed)
    config = OFAConfig.preset(
        "nano", vocabulary_size=64, d_model=32, ffn_dim=64, encoder_layers=1, decoder_layers=2, output_ids=output_ids
    )
    net = OFAModel(config)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return net.eval()


def small_inputs(batch=4, prompts=False):
    """Sources and prompts of different lengths, some samples with a picture."""
    generator = torch.Generator().manual_seed(1)
    source = torch.randint(4, 64, (batch, 9), generator=generator)
    source[:, 0] = 0
    prompt = torch.randint(4, 64, (batch, 5), generator=generator)
    prompt[:, 0] = 0
    for row in range(batch):
        source[row, 9 - row % 4 :] = 1
        prompt[row, 5 - row % 3 :] = 1
    return Inputs(
        source=source,
        images=torch.randn(batch, 3, 32, 32, generator=generator),
        image_mask=torch.arange(batch) % 3 > 0,
        prompt=prompt if prompts else None,
    )
