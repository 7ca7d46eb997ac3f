"""A network that scores only some ids scores those as the full one does."""

import torch

IDS = (0, 2, 3, 40, 41, 999, 50265, 59456)


def test_scored_ids_keep_their_logits_and_the_others_have_none(arrays, build):
    inputs = arrays("forward_micro.npz").inputs("text_only")
    net, full = build(output_ids=IDS), build()
    with torch.inference_mode():
        expected = full(inputs["source_tokens"], inputs["previous_tokens"])
        logits = net(inputs["source_tokens"], inputs["previous_tokens"])
        features = full(inputs["source_tokens"], inputs["previous_tokens"], features_only=True)
        columns = net.project(features)
    scored = torch.tensor(IDS)
    torch.testing.assert_close(logits[..., scored], expected[..., scored], atol=1e-5, rtol=0)
    torch.testing.assert_close(columns, expected[..., scored], atol=1e-5, rtol=0)
    assert logits.isfinite().sum(-1).eq(len(IDS)).all()


def test_columns_find_each_id(build):
    net = build(output_ids=IDS)
    ids = torch.tensor([[2, 1, 59456], [0, 58000, 999]])
    assert net.columns(ids).tolist() == [[1, -1, 7], [0, -1, 5]]
    assert torch.equal(build().columns(ids), ids)
