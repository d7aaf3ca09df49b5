"""Losses against formulas written out in numpy and against torch's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.losses.adversarial import discriminator_loss, generator_loss
from inpaint_core.losses.features import FeaturesError, features_from_weights, load_features
from inpaint_core.losses.perceptual import MIN_LENGTH, cosine_distance, gram_matrix, perceptual_and_style
from inpaint_core.losses.reconstruction import ELEMENTWISE, hole_and_valid
from inpaint_core.losses.total_variation import hole_total_variation


def picture(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05


def test_elementwise_losses_equal_torch_and_the_formulas() -> None:
    p, t = picture(0, 2, 3, 8, 8), picture(1, 2, 3, 8, 8)
    expected = {
        "l1": F.l1_loss(p, t, reduction="none"),
        "mse": F.mse_loss(p, t, reduction="none"),
        "charbonnier": torch.from_numpy(np.sqrt((p - t).numpy() ** 2 + 1e-6) - 1e-3),
        "poisson": F.poisson_nll_loss(p, t, log_input=False, eps=0.0, reduction="none") - (t - t * torch.log(t)),
        "cross_entropy": F.binary_cross_entropy(p, t, reduction="none"),
        "kl_divergence": F.kl_div(torch.log(p), t, reduction="none")
        + F.kl_div(torch.log(1 - p), 1 - t, reduction="none"),
    }
    assert expected.keys() == ELEMENTWISE.keys()
    for name, loss in ELEMENTWISE.items():
        torch.testing.assert_close(loss(p, t), expected[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_minimizing_each_loss_moves_the_prediction_to_the_target(name: str) -> None:
    target = picture(2, 1, 3, 6, 6)
    logits = torch.zeros_like(target, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        ELEMENTWISE[name](torch.sigmoid(logits), target).mean().backward()
        optimizer.step()
    assert (torch.sigmoid(logits) - target).abs().mean() < 0.01


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_losses_and_gradients_are_finite_at_black_and_white(name: str) -> None:
    prediction = torch.tensor([0.0, 1.0, 0.0, 1.0, -0.2, 1.3], requires_grad=True)
    target = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    loss = ELEMENTWISE[name](prediction, target)
    loss.sum().backward()
    assert prediction.grad is not None
    assert torch.isfinite(loss).all()
    assert torch.isfinite(prediction.grad).all()


def test_hole_and_valid_are_sums_over_all_elements() -> None:
    error, mask = picture(3, 2, 3, 5, 4), (picture(4, 2, 1, 5, 4) > 0.5).float()
    hole, valid = hole_and_valid(error, mask)
    values, holes = error.numpy(), np.broadcast_to(mask.numpy(), error.shape)
    np.testing.assert_allclose(hole.item(), (values * holes).sum() / values.size, rtol=1e-5)
    np.testing.assert_allclose(valid.item(), (values * (1 - holes)).sum() / values.size, rtol=1e-5)


def test_gram_matrix_equals_the_double_loop() -> None:
    features = picture(5, 2, 3, 4, 5).numpy()
    expected = np.zeros((2, 3, 3))
    for b in range(2):
        for i in range(3):
            for j in range(3):
                expected[b, i, j] = (features[b, i] * features[b, j]).sum() / (3 * 4 * 5)
    np.testing.assert_allclose(gram_matrix(torch.from_numpy(features)).numpy(), expected, rtol=1e-5)


def test_gram_matrix_has_the_gradient_of_the_product() -> None:
    """Even if subsequent operations treat the matrix's two halves differently."""
    features, weights = picture(11, 2, 3, 4, 5).requires_grad_(), picture(12, 2, 3, 3)
    (gram_matrix(features) * weights).sum().backward()
    plain = features.detach().clone().requires_grad_()
    flat = plain.reshape(2, 3, 20)
    (torch.einsum("bcp,bdp->bcd", flat, flat) / 60 * weights).sum().backward()
    torch.testing.assert_close(features.grad, plain.grad)


def test_cosine_distance_equals_the_loop_over_positions() -> None:
    features, target = picture(13, 2, 4, 3, 5) - 0.3, picture(14, 2, 4, 3, 5) - 0.3
    hole = (picture(15, 2, 1, 6, 10) > 0.6).float()
    total = 0.0
    for b in range(2):
        for y in range(3):
            for x in range(5):
                a, t = features[b, :, y, x].numpy(), target[b, :, y, x].numpy()
                a, t = a / np.hypot(np.linalg.norm(a), MIN_LENGTH), t / np.hypot(np.linalg.norm(t), MIN_LENGTH)
                share = hole[b, 0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].numpy().mean()
                total += (2.0 - 2.0 * (a * t).sum()) * share
    np.testing.assert_allclose(cosine_distance(features, target, hole).item(), total / 30, rtol=1e-5)


def test_cosine_distance_has_finite_gradients_at_zero_and_none_outside_the_hole() -> None:
    features, hole = torch.zeros(1, 4, 4, 4).requires_grad_(), torch.zeros(1, 1, 8, 8)
    hole[..., :4] = 1.0
    cosine_distance(features, picture(16, 1, 4, 4, 4), hole).backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert features.grad[..., :2].abs().min() > 0.0
    assert not features.grad[..., 2:].any()


def test_perceptual_and_style_equal_the_papers_formulas() -> None:
    output, composite, target = (picture(seed, 2, 3, 8, 8) for seed in (6, 7, 8))

    def extract(image: Tensor) -> list[Tensor]:
        return [image * 2.0, F.avg_pool2d(image, 2) ** 2]

    perceptual, style = perceptual_and_style([extract(output), extract(composite)], extract(target))
    wanted_perceptual = wanted_style = 0.0
    for level in range(2):
        truth = extract(target)[level].numpy().astype(np.float64)
        size = truth[0].size
        for image in (output, composite):
            made = extract(image)[level].numpy().astype(np.float64)
            wanted_perceptual += np.abs(made - truth).mean()
            grams = [np.einsum("bchw,bdhw->bcd", x, x) / size for x in (made, truth)]
            wanted_style += np.abs(grams[0] - grams[1]).mean()
    np.testing.assert_allclose(perceptual.item(), wanted_perceptual, rtol=1e-5)
    np.testing.assert_allclose(style.item(), wanted_style, rtol=1e-5)


def test_the_perceptual_loss_in_the_hole_adds_the_stages() -> None:
    output, target, hole = picture(17, 2, 3, 8, 8), picture(18, 2, 3, 8, 8), (picture(19, 2, 1, 8, 8) > 0.5).float()

    def extract(image: Tensor) -> list[Tensor]:
        return [image * 2.0, F.avg_pool2d(image, 2) ** 2]

    perceptual, style = perceptual_and_style([extract(output)], extract(target), hole)
    stages = zip(extract(output), extract(target), strict=True)
    torch.testing.assert_close(perceptual, sum(cosine_distance(*stage, hole) for stage in stages))
    torch.testing.assert_close(style, perceptual_and_style([extract(output)], extract(target))[1])


def test_total_variation_counts_the_pairs_inside_the_dilated_hole() -> None:
    image, mask = picture(9, 2, 3, 7, 6), (picture(10, 2, 1, 7, 6) > 0.8).float()
    values, total = image.numpy(), 0.0
    for b in range(2):
        region = np.zeros((7, 6), bool)
        for y, x in zip(*np.nonzero(mask[b, 0].numpy()), strict=True):
            region[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = True
        for y in range(7):
            for x in range(6):
                if y < 6 and region[y, x] and region[y + 1, x]:
                    total += np.abs(values[b, :, y + 1, x] - values[b, :, y, x]).sum()
                if x < 5 and region[y, x] and region[y, x + 1]:
                    total += np.abs(values[b, :, y, x + 1] - values[b, :, y, x]).sum()
    np.testing.assert_allclose(hole_total_variation(image, mask).item(), total / values.size, rtol=1e-5)


def test_adversarial_losses_equal_the_formulas() -> None:
    real, fake = torch.linspace(-3, 3, 7), torch.linspace(-2, 4, 7)
    r, f = real.numpy().astype(np.float64), fake.numpy().astype(np.float64)
    logistic = (np.log1p(np.exp(-r)).mean() + np.log1p(np.exp(f)).mean()) / 2
    np.testing.assert_allclose(discriminator_loss(real, fake, "logistic").item(), logistic, rtol=1e-5)
    np.testing.assert_allclose(generator_loss(fake, "logistic").item(), np.log1p(np.exp(-f)).mean(), rtol=1e-5)
    squares = (((r - 1) ** 2).mean() + (f**2).mean()) / 2
    np.testing.assert_allclose(discriminator_loss(real, fake, "least_squares").item(), squares, rtol=1e-5)
    np.testing.assert_allclose(generator_loss(fake, "least_squares").item(), ((f - 1) ** 2).mean(), rtol=1e-5)
    hinge = (np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean()) / 2
    np.testing.assert_allclose(discriminator_loss(real, fake, "hinge").item(), hinge, rtol=1e-5)
    np.testing.assert_allclose(generator_loss(fake, "hinge").item(), -f.mean(), rtol=1e-5)


def vgg16_weights(width: int = 64) -> dict[str, Tensor]:
    """Random weights in torchvision's layout, as far as the third pooling."""
    generator = torch.Generator().manual_seed(0)
    channels = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
    weights = {}
    for index, (inputs, outputs) in channels.items():
        weights[f"features.{index}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) / (
            3 * inputs**0.5
        )
        weights[f"features.{index}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return weights


def test_vgg16_features_equal_the_sequence_up_to_each_pooling(tmp_path: Path) -> None:
    weights = vgg16_weights()
    save_file(weights, tmp_path / "vgg.safetensors")
    image = picture(11, 1, 3, 24, 16)
    features = (image - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    expected = []
    for index in range(17):
        if f"features.{index}.weight" in weights:
            kernel, bias = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
            features = F.relu(F.conv2d(features, kernel, bias, padding=1))
        elif index in (4, 9, 16):
            features = F.max_pool2d(features, 2)
            expected.append(features)
    for found, wanted in zip(load_features(tmp_path / "vgg.safetensors")(image), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_features_stay_frozen_and_let_gradients_through() -> None:
    extractor = features_from_weights(vgg16_weights(), "test").train()
    image = picture(12, 1, 3, 16, 16).requires_grad_()
    torch.stack([features.mean() for features in extractor(image)]).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_unusable_feature_files_are_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="no such VGG weights file"):
        load_features(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(FeaturesError, match="damaged"):
        load_features(tmp_path / "bad.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(FeaturesError, match="neither"):
        load_features(tmp_path / "other.safetensors")
    cut = {name: value for name, value in vgg16_weights().items() if ".14." not in name}
    with pytest.raises(FeaturesError, match="lack layer"):
        features_from_weights(cut, "cut")
