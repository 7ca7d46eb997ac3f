"""Training of the VQ-GAN: the loss by hand, the placing of codes, and that pictures come through."""

import io
import math

import pytest
import torch
from PIL import Image, ImageDraw

from ofa import progress
from ofa.data.batch import collate
from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.train.config import TrainConfig
from ofa.train.vqgan import (
    CodeLoss,
    CodingConfig,
    PixelLoss,
    Squares,
    divergence,
    initialize,
    k_means,
    place_codes,
    train_vqgan,
)

TINY = VQGANConfig.preset("nano", channels=8, code_dim=16, codes=16)


def rows(count, size=(24, 16)):
    """Pictures of one color with a square of another."""
    found = []
    for number in range(count):
        colors = [(number * step % 256, number * 31 * step % 256, 255 - number * step % 256) for step in (37, 59)]
        picture = Image.new("RGB", size, colors[0])
        ImageDraw.Draw(picture).rectangle((0, 0, 11, 7), colors[1])
        content = io.BytesIO()
        picture.save(content, "PNG")
        found.append({"uniq_id": str(number), "image": content.getvalue()})
    return found


def batch(count=4):
    return collate([Squares(16).sample(row, False, None) for row in rows(count)])


@pytest.fixture
def net():
    net = VQGAN(TINY)
    initialize(net, 0)
    return net


def test_the_losses_by_hand(net):
    pixels = batch().images_normalized
    with torch.no_grad():
        loss = PixelLoss()(net, batch(), 0)
        assert loss.size == pixels.numel() == 4 * 3 * 16 * 16
        expected = (net.decoder(net.post_quant_conv(net.quant_conv(net.encoder(pixels)))) - pixels).abs().sum()
        torch.testing.assert_close(loss.loss, expected)

        objective = CodeLoss(CodingConfig(kl_weight=0.5, temperature=(0.8, 0.2)), steps=11)
        assert [round(objective.temperature(step), 6) for step in (0, 5, 10)] == [0.8, 0.4, 0.2]
        torch.manual_seed(1)
        loss = objective(net, batch(), 5)
        torch.manual_seed(1)
        logits = net.logits(pixels)
        drawn = torch.nn.functional.gumbel_softmax(logits, tau=0.4, hard=True, dim=1).argmax(1)
        difference = (net.decode(drawn) - pixels).abs().mean()
        probs = logits.softmax(1)
        kl = (probs * (probs * 16).log()).sum(1).mean()
        torch.testing.assert_close(loss.loss / loss.size, difference + 0.5 * kl)
        torch.testing.assert_close(loss.nll / loss.size, difference)


def test_the_divergence_has_its_bounds():
    assert divergence(torch.zeros(1, 16, 2, 2)).abs().max() < 1e-6
    sure = torch.zeros(1, 16, 1, 1)
    sure[0, 3] = 100.0
    assert divergence(sure).item() == pytest.approx(math.log(16))


def test_k_means_finds_groups():
    torch.manual_seed(0)
    corners = torch.tensor([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    points = corners.repeat_interleave(50, 0) + 0.1 * torch.randn(200, 2)
    centers, spread = k_means(points, 4, seed=0)
    # Lloyd's algorithm may put two centers into one group; a group that is found is found exactly.
    assert spread == pytest.approx((torch.cdist(points, centers).min(1).values ** 2).mean().item(), rel=1e-4)
    means = points.view(4, 50, 2).mean(1)
    assert (torch.cdist(centers, means).min(1).values < 1).sum() >= 2
    assert k_means(points[:3], 5, seed=0)[1] < 1e-6


def test_placed_codes_are_chosen_by_distance(net):
    place_codes(net, [batch(40)], torch.device("cpu"), seed=0)
    with torch.no_grad():
        pixels = batch(40).images_normalized
        latents = net.latents(pixels).permute(0, 2, 3, 1).flatten(0, 2)
        nearest = torch.cdist(latents, net.quantize.embed.weight).argmin(1)
        assert torch.equal(net.encode(pixels).flatten(), nearest)
        assert len(nearest.unique()) > 8


def test_pictures_come_through_and_codes_are_used(net, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    table = rows(24)
    config = TrainConfig(
        steps=120, batch_size=12, lr=3e-3, betas=(0.9, 0.98), schedule="cosine", precision="fp32", device="cpu"
    )
    coding = CodingConfig(image_size=16, uncoded=0.5)
    result = train_vqgan(net, table, coding, config, tmp_path, valid=table)
    assert result.steps == 120
    # A single gray for everything has 9 dB on these pictures, each picture's own mean color 12.
    assert result.metrics["psnr"] > 14 and result.metrics["perplexity"] > 8, result.metrics
    shown = capfd.readouterr().err
    assert " samples/s, " in shown and "tokens" not in shown


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    def run(steps_at_once, folder):
        net = VQGAN(TINY)
        initialize(net, 0)
        config = TrainConfig(steps=8, warmup_steps=5, batch_size=4, precision="fp32", device="cpu", checkpoint_every=1)
        stop = [(lambda step, _: (_ for _ in ()).throw(KeyboardInterrupt))] if steps_at_once else []
        coding = CodingConfig(image_size=16, uncoded=0.5)
        train_vqgan(net, rows(8), coding, config, tmp_path / folder, stop)
        return net.state_dict()

    whole = run(False, "whole")
    with pytest.raises(KeyboardInterrupt):
        run(True, "parts")
    again = run(False, "parts")
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.items())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"uncoded": 1.0}, "uncoded is a share"),
        ({"temperature": (1.0, -1.0)}, "temperature must be two numbers above 0"),
        ({"kl_weight": -1.0}, "kl_weight must not be negative"),
    ],
)
def test_wrong_settings_are_named(change, reason):
    with pytest.raises(OFAError, match=reason):
        CodingConfig(**change)


def test_the_size_must_fit_the_codes(net, tmp_path):
    with pytest.raises(OFAError, match="image_size 20 must be a multiple of 8"):
        train_vqgan(net, rows(2), CodingConfig(image_size=20), TrainConfig(steps=1, batch_size=2), tmp_path)
