"""Partial convolution against a loop over windows, against nn.Conv2d, and against the paper's rules."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from inpaint_core.models.partial_conv import PartialConv2d, box_sum


def layer(in_channels, out_channels, kernel, seed=0, **options):
    made = PartialConv2d(in_channels, out_channels, kernel, **options).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_valid(*shape, seed=0, density=0.5):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < density).double()


def by_windows(convolution, features, valid, groups):
    """Equations 1 and 2 of arXiv 1804.07723, window by window."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    padding, dilation = convolution.padding[0], convolution.dilation[0]
    every = torch.cat([valid[:, g : g + 1].expand(-1, count, -1, -1) for g, count in enumerate(groups)], 1)
    features, every = (F.pad(x, (padding,) * 4) for x in (features, every.expand(len(features), -1, -1, -1)))
    rows = (features.shape[2] - dilation * (kernel - 1) - 1) // stride + 1
    columns = (features.shape[3] - dilation * (kernel - 1) - 1) // stride + 1
    output = torch.zeros(len(features), convolution.out_channels, rows, columns, dtype=torch.float64)
    update = torch.zeros(len(features), 1, rows, columns, dtype=torch.float64)
    for sample, row, column in itertools.product(range(len(features)), range(rows), range(columns)):
        ys = slice(row * stride, row * stride + dilation * (kernel - 1) + 1, dilation)
        xs = slice(column * stride, column * stride + dilation * (kernel - 1) + 1, dilation)
        x, m = features[sample, :, ys, xs], every[sample, :, ys, xs]
        if m.sum() > 0:
            raw = (convolution.weight * (x * m)).sum((1, 2, 3))
            bias = 0 if convolution.bias is None else convolution.bias
            output[sample, :, row, column] = raw * (m.numel() / m.sum()) + bias
            update[sample, 0, row, column] = 1
    return output, update


@settings(deadline=None, max_examples=40)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([(2,), (1, 3), (3, 2, 1)]),
    bias=st.booleans(),
    density=st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]),
    seed=st.integers(0, 1000),
)
@torch.no_grad()
def test_equals_the_papers_equations_window_by_window(kernel, stride, padding, dilation, groups, bias, density, seed):
    reach = dilation * (kernel - 1) + 1
    size = max(reach - 2 * padding, 1) + 4
    made = layer(groups, 3, kernel, seed, stride=stride, padding=padding, dilation=dilation, bias=bias)
    features = random(2, sum(groups), size, size + 1, seed=seed)
    valid = random_valid(2, len(groups), size, size + 1, seed=seed, density=density)
    output, update = made(features, valid)
    expected, expected_update = by_windows(made, features, valid, groups)
    assert torch.equal(update, expected_update)
    assert (output - expected).abs().max() < 1e-6


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 1, 4), (7, 2, 1)])
@torch.no_grad()
def test_equals_an_ordinary_convolution_where_everything_is_valid(kernel, stride, dilation):
    made = layer(4, 5, kernel, stride=stride, dilation=dilation)
    features = random(2, 4, 23, 29)
    output, update = made(features, torch.ones(1, 1, 23, 29))
    plain = F.conv2d(features, made.weight, made.bias, stride, 0, dilation)
    assert (update == 1).all()
    assert torch.allclose(output, plain, atol=1e-12)


@torch.no_grad()
def test_with_padding_only_the_border_differs_from_an_ordinary_convolution():
    made = layer(4, 5, 5, padding=2)
    features = random(1, 4, 16, 16)
    output, _ = made(features, torch.ones(1, 1, 16, 16))
    plain = F.conv2d(features, made.weight, made.bias, 1, 2)
    assert torch.allclose(output[..., 2:-2, 2:-2], plain[..., 2:-2, 2:-2], atol=1e-12)
    corner = (plain[0, :, 0, 0] - made.bias) * 25 / 9 + made.bias
    assert torch.allclose(output[0, :, 0, 0], corner, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    made = layer((2, 1), 3, 3, stride=2, padding=1)
    features = random(2, 3, 6, 7).requires_grad_()
    valid = random_valid(2, 2, 6, 7, density=0.4)
    assert torch.autograd.gradcheck(lambda x: made(x, valid)[0], (features,))
    weight, bias = made.weight.detach().clone().requires_grad_(), made.bias.detach().clone().requires_grad_()

    def of_parameters(weight, bias):
        return torch.func.functional_call(made, {"weight": weight, "bias": bias}, (features.detach(), valid))[0]

    assert torch.autograd.gradcheck(of_parameters, (weight, bias))


@pytest.mark.parametrize("scale", [0.0, -3.0, 1e30])
def test_hidden_pixels_change_neither_the_output_nor_the_gradients(scale):
    made = layer(3, 4, 3, padding=1)
    valid = random_valid(1, 1, 9, 9)
    features = random(1, 3, 9, 9)
    results = []
    for hidden in (1.0, scale):
        made.zero_grad()
        output, _ = made(torch.where(valid > 0, features, features * hidden), valid)
        output.square().sum().backward()
        results.append((output.detach(), made.weight.grad.clone()))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_it_stores_what_an_ordinary_convolution_stores_and_nothing_else():
    assert PartialConv2d((6, 2), 4, 3).state_dict().keys() == nn.Conv2d(8, 4, 3).state_dict().keys()


def test_a_batch_gives_what_its_pictures_give_alone():
    made = layer((2, 1), 3, 5, stride=2, padding=2)
    features, valid = random(3, 3, 12, 13), random_valid(3, 2, 12, 13)
    together, update = made(features, valid)
    for i in range(3):
        alone, alone_update = made(features[i : i + 1], valid[i : i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-12)
        assert torch.equal(update[i], alone_update[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_stay_exact_whatever_the_features_are(dtype):
    made = PartialConv2d((512, 256), 2, 3, padding=1, bias=False).to(dtype)
    valid = random_valid(1, 2, 32, 32, density=0.3).to(dtype)
    ratio, _ = made.windows.renormalization(valid)
    total = F.conv2d(
        valid.double(), torch.tensor([512.0, 256.0]).double().view(1, 2, 1, 1).expand(1, 2, 3, 3), padding=1
    )
    assert torch.equal(ratio, torch.where(total > 0, 768 * 9 / total.clamp(min=1), 0.0).float())


@pytest.mark.parametrize("channels", [(3,), (64, 3), (512, 512), (7, 11)])
def test_the_ratio_of_a_full_window_is_exactly_one(channels):
    made = PartialConv2d(channels, 1, 3, bias=False)
    assert (made.windows.renormalization(torch.ones(1, len(channels), 5, 5))[0] == 1).all()


@settings(deadline=None, max_examples=30)
@given(hole=st.integers(1, 60), depth=st.integers(1, 5), start=st.integers(20, 60))
def test_a_hole_shrinks_from_both_sides_and_is_gone_after_as_many_layers_as_the_rule_says(hole, depth, start):
    """Section 3.1: with enough layers every mask is all ones. A kernel of k reaches (k - 1) / 2 into the hole from both
    sides, so a hole of n pixels is one of max(0, n - k + 1) after a layer of stride 1."""
    side = 200
    valid = torch.ones(1, 1, side, side)
    valid[..., start : start + hole, start : start + hole] = 0
    sizes = [hole]
    for kernel in [7, 5, 5, 3, 3][:depth]:
        _, valid = layer(1, 1, kernel, padding=kernel // 2)(torch.zeros(1, 1, side, side).double(), valid)
        sizes.append(max(0, sizes[-1] - kernel + 1))
        assert int((valid == 0).any(-1).sum()) == sizes[-1]


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 7), stride=st.integers(1, 3), padding=st.integers(0, 3), side=st.integers(7, 20))
def test_box_sums_are_average_pooling_times_the_windows_size(size, stride, padding, side):
    values = random_valid(2, 3, side, side + 2)
    padding = min(padding, size // 2)
    expected = F.avg_pool2d(values, size, stride, padding, count_include_pad=True, divisor_override=1)
    assert torch.equal(box_sum(values, size, stride, padding), expected)


def test_a_window_larger_than_the_padded_picture_is_rejected_with_one_line():
    with pytest.raises(ValueError, match="window of 7 pixels does not fit into 4"):
        box_sum(torch.ones(1, 1, 4, 4), 7)
