"""Training under bfloat16 autocast on a CPU follows float32."""

import torch

from ofa.model import OFAConfig, OFAModel


def gradients(net, batch, autocast):
    net.zero_grad()
    source, previous, images = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        features = net(source, previous, images, features_only=True)
        logits = net.project(features)
    assert logits.dtype == (torch.bfloat16 if autocast else torch.float32)
    loss = logits.float().log_softmax(-1)[..., 7].mean().neg()
    loss.backward()
    used = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    return loss.detach(), torch.cat([gradient.flatten() for gradient in used])


def test_loss_and_gradient_follow_float32():
    torch.manual_seed(0)
    small = {"vocabulary_size": 300, "resnet_blocks": (1, 1, 1), "init_std": 0.02}
    net = OFAModel(OFAConfig.preset("nano", **small)).train()
    source, previous = torch.randint(4, 300, (4, 10)), torch.randint(4, 300, (4, 6))
    source[1, 5:] = 1
    batch = source, previous, torch.randn(4, 3, 64, 64)
    loss, gradient = gradients(net, batch, autocast=False)
    rough_loss, rough_gradient = gradients(net, batch, autocast=True)
    torch.testing.assert_close(rough_loss, loss, atol=0, rtol=5e-3)
    assert torch.cosine_similarity(rough_gradient, gradient, dim=0) > 0.99
    assert rough_gradient.isfinite().all()


def test_decoding_under_autocast_matches_teacher_forcing():
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", vocabulary_size=300)).eval()
    previous = torch.randint(4, 300, (2, 4))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        encoded = net.encode(torch.randint(4, 300, (2, 8)))
        cache = net.start(encoded, max_length=4)
        features = torch.stack([net.step(tokens, cache) for tokens in previous.unbind(1)], dim=1)
        expected = net.decode(previous, encoded, features_only=True)
    torch.testing.assert_close(features.float(), expected.float(), atol=0.1, rtol=0.1)
