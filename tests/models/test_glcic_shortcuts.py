"""Shortcuts of GLCIC's completion network, against the layers called one by one."""

from __future__ import annotations

import torch

from inpaint_core.models.glcic import BRANCH_SCALE, RESIDUAL
from inpaint_core.models.registry import build_model


@torch.no_grad()
def test_shortcuts_join_layers_of_equal_resolution():
    network = build_model("glcic", width=4, norm="none", shortcuts=True, head="residual")
    network.head[0].weight.normal_(generator=torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(4)
    image, mask = torch.rand(2, 3, 16, 24, generator=generator), torch.rand(2, 1, 16, 24, generator=generator)
    layers = list(network.layers)
    full = layers[0](torch.cat([image, mask], 1))
    half = layers[2](layers[1](full))
    features = layers[3](half)
    for layer in layers[4:12]:
        features = features + layer(features)
    features = layers[13](layers[12](features) + half)
    features = layers[15](layers[14](features) + full)
    assert torch.allclose(network._convolve(image, mask), network.head(features), atol=1e-6)


@torch.no_grad()
def test_without_shortcuts_the_layers_follow_each_other():
    network = build_model("glcic", width=4, norm="none")
    image, mask = torch.full((1, 3, 16, 16), 0.3), torch.zeros(1, 1, 16, 16)
    assert torch.equal(network(image, mask), network.head(network.layers(torch.cat([image, mask], 1))))


@torch.no_grad()
def test_the_residual_layers_at_most_double_the_size_of_the_features():
    """Without smaller initial weights they multiply it by about 16."""
    network = build_model("glcic", width=16, norm="none", shortcuts=True, head="residual")
    sizes = {}
    network.layers[3].register_forward_hook(lambda _, __, output: sizes.update(before=float(output.std())))
    network.layers[12].register_forward_pre_hook(lambda _, given: sizes.update(after=float(given[0].std())))
    generator = torch.Generator().manual_seed(6)
    network(torch.rand(1, 3, 64, 64, generator=generator), torch.zeros(1, 1, 64, 64))
    assert sizes["after"] < 2.0 * sizes["before"]
    for index in RESIDUAL:
        network.layers[index][0].weight.div_(BRANCH_SCALE)
    network(torch.rand(1, 3, 64, 64, generator=generator), torch.zeros(1, 1, 64, 64))
    assert sizes["after"] > 8.0 * sizes["before"]
