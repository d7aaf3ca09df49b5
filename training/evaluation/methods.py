"""What is compared: completers with a name, and their scores on pictures of which the truth is known."""

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

WITH_PATCHES = "+patches"  # behind a model's name: its fill guides patches
TIMED_SECONDS = 10.0  # enough for a median; a slow method is timed on fewer pictures

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
        """Tells whether two methods are the same: a digest of the weights and the detail, or the classical name."""
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
        """Fill `[B,3,H,W]` without a feather; what is known is put back, as papers measure.

        Raises
        ------
        ValueError
            A value that is not finite, of which no score could be made.
        """
        filled = inpaint(
            self.completer, image, mask, strategy, feather=0, detail=self.detail, frames_per_batch=len(image)
        )
        if not torch.isfinite(filled).all():
            raise ValueError(f"{self.name}: its fill has values that are not finite; the model cannot be measured")
        return filled


def method_names(models: Sequence[str]) -> list[str]:
    """Short names for what `--model` names: a file's stem, or its folder's name where the stem is `model`.

    What stands behind the name to ask for patches stays there.

    Raises
    ------
    ValueError
        The same model twice.
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
    """The names, those that occur again with a number behind them."""
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
        Feature maps of both, see `inpaint_core.losses.features`; None leaves the perceptual distance out.

    Returns
    -------
    list of dict
        For each picture: `hole_ratio`, then `l1`, `psnr`, `ssim` and, with features, `perceptual`, of the whole picture
        and, with `hole_` in front, of the hole only. PSNR is cut at 100 dB; SSIM is left out where a side is below 6
        pixels, what is measured in the hole where there is none.
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
    """One row per picture for distances of sets: the last stage's mean over the picture, `[B,D]`."""
    return features[-1].mean((2, 3))


def name_features(extractor: FeatureExtractor) -> str:
    """Which network and which layers a distance is measured in."""
    if extractor.before is not None:
        return "VGG-19 (normalized), relu1_2, relu2_2, relu3_1"
    return "VGG-16, pool1, pool2, pool3"


def seconds_per_picture(method: Method, pairs: Sequence[tuple[Tensor, Tensor]], strategy: Strategy = "whole") -> float:
    """Median time for one picture at a time, after one that is not counted.

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
