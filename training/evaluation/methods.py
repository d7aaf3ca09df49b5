"""The methods to compare: named Completers, and their scores on pictures whose ground truth is known."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from inpaint_core.inpainting.inpaint import Completer, Detail, Strategy, inpaint
from inpaint_core.losses.features import FeatureExtractor
from inpaint_core.metrics import (
    MAX_PSNR,
    SSIM_RADIUS,
    l1_percent,
    mean_over,
    perceptual_distance,
    perceptual_maps,
    psnr,
    ssim_map,
)

WITH_PATCHES = "+patches"  # suffix of a model's name: its fill guides patches
TIMED_SECONDS = 10.0  # enough for a median; slow methods are timed on fewer pictures

Scores = dict[str, float]


@dataclass(frozen=True)
class Method:
    """One row of the tables."""

    name: str
    completer: Completer
    detail: Detail = "network"

    @property
    def parameters(self) -> int:
        """Number of weights, 0 for a classical fill."""
        network = getattr(self.completer, "network", None)
        return sum(weight.numel() for weight in network.parameters()) if isinstance(network, nn.Module) else 0

    def fingerprint(self) -> str:
        """Identity of a method: a digest of the weights and the detail setting, or the classical name."""
        network = getattr(self.completer, "network", None)
        if not isinstance(network, nn.Module):
            return self.name
        digest = hashlib.sha256(type(network).__name__.encode())
        if self.detail != "network":
            digest.update(self.detail.encode())
        for key, value in sorted(network.state_dict().items()):
            digest.update(
                key.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
        return digest.hexdigest()

    def fill(self, image: Tensor, mask: Tensor, strategy: Strategy = "whole") -> Tensor:
        """Fill `[B,3,H,W]` without feathering; known pixels are put back, as in papers.

        Raises
        ------
        ValueError
            As `inpaint`; the message names the method.
        """
        try:
            return inpaint(
                self.completer, image, mask, strategy, feather=0, detail=self.detail, frames_per_batch=len(image)
            )
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None


def method_names(models: Sequence[str]) -> list[str]:
    """Short names for the values of `--model`: a file's stem, or its folder's name if the stem is `model`.

    The suffix for patches is kept.

    Raises
    ------
    ValueError
        The same model is given twice.
    """
    names: list[str] = []
    for number, model in enumerate(models):
        if model in models[:number]:
            raise ValueError(f"--model {model} is given twice")
        plain = model.removesuffix(WITH_PATCHES)
        path = Path(plain)
        stem = path.resolve().parent.name if path.stem == "model" else path.stem
        name = plain if path.suffix == "" else stem
        allowed = "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name)
        names.append(allowed + model[len(plain) :])
    return unique(names)


def unique(names: Sequence[str]) -> list[str]:
    """The names, with numbers appended to repeated ones."""
    found: list[str] = []
    for number, name in enumerate(names):
        same = names[:number].count(name)
        found.append(f"{name} ({same + 1})" if same else name)
    return found


def score(
    output: Tensor,
    truth: Tensor,
    mask: Tensor,
    features: Sequence[Tensor] | None = None,
    truth_features: Sequence[Tensor] | None = None,
) -> list[Scores]:
    """Measure filled pictures.

    Parameters
    ----------
    output, truth
        `[B,3,H,W]` in 0..1.
    mask
        `[B,1,H,W]`, 1 = hole.
    features, truth_features
        Feature maps of both (see `inpaint_core.losses.features`); None skips the perceptual distance.

    Returns
    -------
    list of dict
        For each picture: `hole_ratio`, then `l1`, `psnr`, `ssim` and, with features, `perceptual`, for the whole
        picture and, prefixed with `hole_`, for the hole only. PSNR is capped at 100 dB; SSIM is omitted if a side is
        below 6 pixels, scores of the hole if there is none.
    """
    similar = ssim_map(output, truth) if min(output.shape[-2:]) > SSIM_RADIUS else None
    maps = None if features is None or truth_features is None else perceptual_maps(features, truth_features)
    columns: dict[str, Tensor] = {"hole_ratio": mask.mean((1, 2, 3))}
    for prefix, where in (("", None), ("hole_", mask)):
        columns[f"{prefix}l1"] = l1_percent(output, truth, where)
        columns[f"{prefix}psnr"] = psnr(output, truth, where).clamp(max=MAX_PSNR)
        if similar is not None:
            columns[f"{prefix}ssim"] = mean_over(similar, where)
        if maps is not None:
            columns[f"{prefix}perceptual"] = perceptual_distance(maps, where)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{name: value for name, value in zip(columns, row, strict=True) if value == value} for row in rows]


def pooled(features: Sequence[Tensor]) -> Tensor:
    """One row per picture for distances between sets: the last stage's mean over the picture, `[B,D]`."""
    return features[-1].mean((2, 3))


def name_features(extractor: FeatureExtractor) -> str:
    """The network and layers used for a distance."""
    if extractor.before is not None:
        return "VGG-19 (normalized), relu1_2, relu2_2, relu3_1"
    return "VGG-16, pool1, pool2, pool3"


def seconds_per_picture(method: Method, pairs: Sequence[tuple[Tensor, Tensor]], strategy: Strategy = "whole") -> float:
    """Median time per picture, one at a time, after an uncounted warm-up.

    Parameters
    ----------
    pairs
        Picture `[3,H,W]` and mask `[1,H,W]` of each.
    """
    times: list[float] = []
    begin = time.perf_counter()
    for number, (image, mask) in enumerate([pairs[0], *pairs]):
        start = time.perf_counter()
        method.fill(image[None], mask[None], strategy)
        if image.device.type == "cuda":
            torch.cuda.synchronize(image.device)
        if number:
            times.append(time.perf_counter() - start)
        if times and time.perf_counter() - begin > TIMED_SECONDS:
            break
    return statistics.median(times)
