"""The VQ-GAN against the layout and the numbers of taming-transformers' own code."""

import pytest
import torch

from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN, VQGANConfig

SMALL = VQGANConfig(
    channels=32, multipliers=(1, 2, 2, 3), blocks=2, attention=(16,), resolution=64, code_dim=32, codes=50
)  # fmt: skip

# What the reference gives with the weights of `filled`: every tenth logit at every second row and third column, and
# pixels of the picture that codes 0, 7, 14 ... stand for.
LOGITS = [
    -0.2403, -0.0497, -0.0781, -0.2541, -0.3934, -0.4089, 0.0667, -0.0833, -0.1125, -0.309, -0.6035, -0.6832, -0.5807,
    -0.9248, -0.6399, -0.4833, -0.2022, -0.0615, 0.4964, 0.6359, 0.5458, 0.5074, 0.7008, 0.5703, 0.4168, 0.4284, 0.4009,
]  # fmt: skip
ARGMAX = [
    13, 13, 13, 7, 7, 7, 13, 13, 27, 27, 3, 3, 3, 3, 3, 3, 8, 8, 22, 22, 22, 22, 22, 22, 8, 8, 8, 8, 8, 8, 26, 39, 38,
    38, 26, 26, 26, 26, 26, 39, 13, 13, 13, 13, 13, 7, 7, 7,
]  # fmt: skip
PIXELS = [
    0.823, 0.5019, -0.0017, -1.9345, 0.5155, 0.8587, -2.8384, 1.1932, 0.3122, 2.0934, 1.0858, -0.8786, -0.1204, -0.842,
    0.1858, 3.2193, -0.2129, 0.3988, 3.4374, -1.162, -0.7938, 0.2009, -4.2552, -1.0536, -0.2541, 0.5458, 0.1009,
    -2.9285, -0.3678, -2.0051, -3.6339, -0.2485, 1.0802, -4.2143, 4.9719, 2.1363,
]  # fmt: skip


@pytest.fixture(scope="module")
def filled():
    """A small network whose weights are a formula of their names' order, so that any program can make them."""
    net = VQGAN(SMALL).eval()
    for place, (name, tensor) in enumerate(sorted(net.state_dict().items())):
        numbers = torch.arange(tensor.numel(), dtype=torch.float64)
        noise = torch.frac(torch.sin(numbers * 12.9898 + place * 78.233) * 43758.5453)
        scale = 0.2 if tensor.dim() == 1 else (3 / tensor[0].numel()) ** 0.5
        norm = "norm" in name and name.endswith("weight")
        tensor.copy_((float(norm) + scale * noise).view(tensor.shape))
    return net


@pytest.fixture(scope="module")
def picture():
    """(1, 3, 48, 64) smooth waves."""
    places = torch.arange(48 * 64, dtype=torch.float64).view(48, 64)
    return torch.stack([torch.sin(places * 0.011 * (c + 1) + c) for c in range(3)])[None].float()


@torch.inference_mode()
def test_codes_are_those_of_the_reference(filled, picture):
    logits = filled.logits(picture)
    assert logits.shape == (1, 50, 6, 8)
    torch.testing.assert_close(logits[0, ::10, ::2, ::3].flatten()[:27], torch.tensor(LOGITS), atol=1e-4, rtol=0)
    assert filled.encode(picture).flatten().tolist() == ARGMAX


@torch.inference_mode()
def test_pictures_are_those_of_the_reference(filled):
    pixels = filled.decode((torch.arange(48) * 7 % 50).view(1, 6, 8))
    assert pixels.shape == (1, 3, 48, 64)
    torch.testing.assert_close(pixels[0, :, 5::16, 3::16].flatten(), torch.tensor(PIXELS), atol=2e-3, rtol=0)


def layout(ch, mult, blocks, attention, side, z, codes):
    """Names and shapes by the rules that taming-transformers' documentation and configuration files state."""
    shapes = {}

    def conv(name, i, o, k):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (o, i, k, k), (o,)

    def norm(name, width):
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)

    def res(name, i, o):
        norm(f"{name}.norm1", i), conv(f"{name}.conv1", i, o, 3)
        norm(f"{name}.norm2", o), conv(f"{name}.conv2", o, o, 3)
        if i != o:
            conv(f"{name}.nin_shortcut", i, o, 1)

    def attn(name, width):
        norm(f"{name}.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            conv(f"{name}.{part}", width, width, 1)

    def ends(half, i, o, width, top):
        conv(f"{half}.conv_in", i, width, 3)
        norm(f"{half}.norm_out", top), conv(f"{half}.conv_out", top, o, 3)
        for part in ("block_1", "block_2"):
            res(f"{half}.mid.{part}", ch * mult[-1], ch * mult[-1])
        attn(f"{half}.mid.attn_1", ch * mult[-1])

    last = len(mult) - 1
    ends("encoder", 3, z, ch, ch * mult[-1])
    ends("decoder", z, 3, ch * mult[-1], ch * mult[0])
    width = ch
    for level, factor in enumerate(mult):
        for number in range(blocks):
            res(f"encoder.down.{level}.block.{number}", width, ch * factor)
            width = ch * factor
            if side >> level in attention:
                attn(f"encoder.down.{level}.attn.{number}", width)
        if level < last:
            conv(f"encoder.down.{level}.downsample.conv", width, width, 3)
    for level in range(last, -1, -1):
        for number in range(blocks + 1):
            res(f"decoder.up.{level}.block.{number}", width, ch * mult[level])
            width = ch * mult[level]
            if side >> level in attention:
                attn(f"decoder.up.{level}.attn.{number}", width)
        if level:
            conv(f"decoder.up.{level}.upsample.conv", width, width, 3)
    for name in ("quant_conv", "post_quant_conv"):
        conv(name, z, z, 1)
    conv("quantize.proj", z, codes, 1)
    shapes["quantize.embed.weight"] = (codes, z)
    return shapes


def test_the_published_layout():
    with torch.device("meta"):
        net = VQGAN(VQGANConfig.preset("f8_8192"))
    found = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    assert found == layout(128, (1, 1, 2, 4), 2, (32,), 256, 256, 8192)
    assert len(found) == 301
    assert sum(tensor.numel() for tensor in net.parameters()) == 68_995_971
    assert net.config.stride == 8


@torch.inference_mode()
def test_encoding_draws_nothing_and_training_does(filled, picture):
    assert torch.equal(filled.encode(picture), filled.encode(picture))
    logits = filled.logits(picture)
    drawn = [filled.quantize.draw(logits, 1.0) for _ in range(2)]
    assert not torch.equal(*drawn)
    # Each place holds the vector of exactly one code.
    vectors = drawn[0].permute(0, 2, 3, 1).flatten(0, 2)
    assert torch.cdist(vectors, filled.quantize.embed.weight).min(1).values.max() < 1e-2


@torch.inference_mode()
def test_codes_are_drawn_by_their_probability(filled):
    logits = torch.randn(1, 50, 1, 1, generator=torch.Generator().manual_seed(0)).expand(1, 50, 100, 200)
    torch.manual_seed(0)
    vectors = filled.quantize.draw(logits, 0.5).permute(0, 2, 3, 1).flatten(0, 2)
    drawn = torch.cdist(vectors, filled.quantize.embed.weight).argmin(1)
    shares = torch.bincount(drawn, minlength=50) / len(drawn)
    torch.testing.assert_close(shares, logits[0, :, 0, 0].softmax(0), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codes": 9000}, "codes must be 2 to 8192, got 9000"),
        ({"channels": 20}, "channels must be a multiple of norm_groups 32, got 20"),
        ({"resolution": 100}, "resolution must be a multiple of 8, got 100"),
        ({"chanels": 32}, "no field 'chanels', did you mean 'channels'"),
    ],
)
def test_wrong_settings_are_named(change, reason):
    with pytest.raises(OFAError, match=reason):
        VQGANConfig.preset("f8_8192", **change)


def test_a_picture_that_is_not_whole_codes_is_refused(filled):
    with pytest.raises(OFAError, match=r"multiples of 8, got \(20, 16\)"):
        filled.encode(torch.zeros(1, 3, 20, 16))
