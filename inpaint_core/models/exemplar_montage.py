"""Learning to See from exemplars: pieces of photographs, cut along seams, follow the shapes of the input."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ..tracing import is_tracing, largest, real, rounded, smallest
from .architecture import Architecture, Arguments, Network
from .exemplar_index import CELL, ExemplarIndex, blurred, luma_of

CANDIDATES = 2  # pictures per window
PIECES = 6  # number of pieces in an output the size of an exemplar
ROUNDS = 12
PRUNED = (2, 4, 6, 8, 10)  # rounds at whose start the smallest labels are dropped
RELATED = 2.0  # cells around a cell whose brightness is also compared
COLOR = 0.4  # weight of colors that do not match their surroundings
SMOOTH = 0.1  # weight of differences between a cell's label and those of its neighbors
LARGE = 0.006  # advantage of pieces that already cover a large area
OUTSIDE = 1.0  # cost of a cell outside a picture
MARGIN = 0.05  # cost of cells close to those: seams should not follow the straight border of a picture
STEADY = 0.5  # weight of colors that differ from the previous frame's
HEAT, COLD, COOLING = 0.02, 0.001, 0.6  # temperatures of the labeling
UNCOVERED = 1e-3  # weight of details beyond an exemplar's border, used only where no selected exemplar reaches
SHARP = 4.0  # exponent that narrows the seams of details
RELIGHT = 0.7  # exponent of the correction of brightness
DARKEST = 0.08  # added to brightness before it is divided
MATCHING = 0.5  # fraction of histogram matching; the rest matches mean and standard deviation


class ExemplarMontageArguments(Arguments):
    """Number and size of the exemplars of an `ExemplarMontage`."""

    input_channels: Literal[1] = 1
    pictures: int = Field(72, ge=1, le=128)
    """Number of exemplars; 98 kB each at 256 pixels."""
    side: int = Field(256, ge=64, le=256, multiple_of=64)
    """Side of each exemplar in pixels."""


class ExemplarMontage(Network):
    """A montage of stored photographs, the exemplars (image analogies: Hertzmann et al. 2001, section 3).

    The input's brightness is matched to that of the exemplars. Its windows are looked up among all windows of the
    exemplars and their mirror images, reduced in the same way; the exemplars found, each shifted into place, are the
    labels of a labeling of the output in cells of 8 pixels. Its energy favors similar brightness, and seams where
    colors agree (graph-cut textures: Kwatra et al. 2003, eq. 1), and is minimized by mean-field annealing, in which
    fewer and fewer labels remain. Details come from one exemplar, colors are blended across the seams (two bands of the
    multiresolution spline of Burt & Adelson 1983), and the brightness is shifted toward that of the input.

    The network is deterministic and has no weights with gradients: it is trained by selecting its exemplars.

    Parameters
    ----------
    input_channels, pictures, side
        See `ExemplarMontageArguments`.

    Attributes
    ----------
    side
        Side in pixels of the exemplars.
    luma, chroma
        uint8 `[N,S,S]` and `[N,2,S/2,S/2]`: the exemplars as full-range YCbCr (ITU-T T.871), with colors at half the
        resolution.
    """

    luma: Tensor
    chroma: Tensor
    exact = True
    uses_previous = True

    def __init__(self, input_channels: int, pictures: int, side: int) -> None:
        super().__init__()
        del input_channels
        self.register_buffer("luma", torch.empty(pictures, side, side, dtype=torch.uint8))
        self.register_buffer("chroma", torch.empty(pictures, 2, side // 2, side // 2, dtype=torch.uint8))
        self._index: ExemplarIndex | None = None
        self.side = side
        self.multiple = CELL
        self.minimum = max(ExemplarIndex.windows(side)) * CELL

    def initialize(self, generator: torch.Generator) -> None:
        """Exemplars of blurred spots from `generator`."""
        count, side = self.luma.shape[:2]
        spots = torch.rand(count, 3, 8, 8, generator=generator)
        self.set_exemplars(F.interpolate(spots, (side, side), mode="bilinear", align_corners=False))

    @torch.no_grad()
    def set_exemplars(self, pictures: Tensor, at: int = 0) -> None:
        """Replace exemplars.

        Parameters
        ----------
        pictures
            `[K,3,S,S]` in 0..1, RGB.
        at
            Index of the first one to replace.
        """
        scaled = pictures * 255.0
        luma, (red, _, blue) = luma_of(scaled, 1), scaled.unbind(1)
        chroma = F.avg_pool2d(torch.stack([(blue - luma) / 1.772, (red - luma) / 1.402], 1) + 128.0, 2)
        self.luma[at : at + len(pictures)] = luma.round().clamp(0, 255).byte()
        self.chroma[at : at + len(pictures)] = chroma.round().clamp(0, 255).byte()
        self._index = None

    @torch.no_grad()
    def pictures(self) -> Tensor:
        """The exemplars as RGB, float32 `[N,3,S,S]` in 0..1."""
        luma = self.luma.float()
        wide = F.interpolate(self.chroma.float() - 128.0, luma.shape[-2:], mode="bilinear", align_corners=False)
        blue, red = wide.unbind(1)
        green = luma - 0.344136 * blue - 0.714136 * red
        return (torch.stack([luma + 1.402 * red, green, luma + 1.772 * blue], 1) / 255.0).clamp(0.0, 1.0)

    @torch.no_grad()
    def forward(self, frames: Tensor, previous: Tensor | None = None, coherence: float = 1.0) -> Tensor:
        """Translate.

        Parameters
        ----------
        frames
            `[B,1,H,W]` in 0..1, H and W multiples of `multiple` and at least `minimum`; of three channels the mean.
        previous
            The output for the previous frame, `[1,3,H,W]`: each frame then stays close to the colors of the previous
            one.
        coherence
            Strength of this effect, from 0 to 1.

        Returns
        -------
        Tensor
            `[B,3,H,W]` in 0..1.
        """
        with torch.autocast(frames.device.type, enabled=False):
            index = self._indexed()
            outputs = []
            for frame in frames.float().mean(1):
                outputs.append(_montage(index, frame, previous, STEADY * coherence))
                previous = None if previous is None else outputs[-1]
            return torch.cat(outputs)

    def _indexed(self) -> ExemplarIndex:
        if self._index is None:
            with torch.inference_mode(False):
                self._index = ExemplarIndex(self.pictures())
        return self._index

    def _apply(self, *arguments: object, **named: object) -> ExemplarMontage:
        super()._apply(*arguments, **named)
        if self._index is not None and self._index.colors.device != self.luma.device:
            self._index = None
        return self

    def _load_from_state_dict(self, *arguments: object, **named: object) -> None:
        self._index = None
        super()._load_from_state_dict(*arguments, **named)


def _montage(index: ExemplarIndex, frame: Tensor, previous: Tensor | None, steady: float) -> Tensor:
    """`[1,3,H,W]` of a gray frame `[H,W]`."""
    guide = _matched(F.avg_pool2d(frame[None, None], CELL)[0, 0], index)
    kept = None if previous is None else F.avg_pool2d(previous.float(), CELL)[0].permute(1, 2, 0)
    share, labels = _label(index, guide, index.look_up(guide, CANDIDATES), kept, steady)
    output = _composed(index, share, labels, frame.shape[-2], frame.shape[-1])
    return _relit(output, guide).clamp(0.0, 1.0)


def _matched(guide: Tensor, index: ExemplarIndex) -> Tensor:
    """Brightness `[h,w]` matched to the exemplars: half by rank, half by mean and standard deviation."""
    rank = _rank(guide)
    by_rank = index.brightness[(rank * (len(index.brightness) - 1)).long()]
    spread = guide.std(correction=0)
    by_moments = (guide - guide.mean()) * (index.spread / (spread + 0.03)) + index.mean
    # Flat areas have no rank order: all their values get the middle rank.
    return torch.lerp(by_moments, by_rank, MATCHING * (spread / (spread + 0.01)))


def _rank(guide: Tensor) -> Tensor:
    """Mean rank of every value among all values, from 0 to 1."""
    values = guide.flatten()
    if is_tracing():
        # Exported graphs have no binary search.
        first, last = (values < values[:, None]).sum(1), (values <= values[:, None]).sum(1)
    else:
        ranked = values.sort().values
        first, last = (torch.searchsorted(ranked, values, right=right) for right in (False, True))
    count = values.shape[0]
    return ((first + last - 1).float() / (2.0 * (count - 1))).view_as(guide)


def _label(
    index: ExemplarIndex, guide: Tensor, labels: Tensor, previous: Tensor | None, steady: float
) -> tuple[Tensor, Tensor]:
    """Probabilities `[L,h,w]` of the labels that remain, summing to 1 in every cell, and these labels `[L,3]`."""
    height, width = guide.shape
    inside, cells = index.cells(labels, height, width)
    colors = index.colors[cells]
    data = (
        blurred((index.guides[cells] - guide).square(), RELATED)
        + OUTSIDE * ~inside
        + MARGIN * blurred((~inside).float(), 1.5)
    )
    if previous is not None:
        data = data + steady * (colors - previous).square().sum(-1)
    remaining = largest(2, rounded(PIECES * real(height * width) / index.grid**2))
    heat = HEAT
    share = torch.softmax(-data / heat, 0)
    for number in range(ROUNDS):
        if number in PRUNED:
            keep = remaining if number == PRUNED[-1] else largest(remaining, rounded(real(share.shape[0]) * 0.7))
            keep = smallest(keep, share.shape[0])
            chosen = share.mean((1, 2)).topk(keep).indices.sort().values
            data, colors, labels = data[chosen], colors[chosen], labels[chosen]
            # Renormalized, because a cell may have lost all of its labels.
            share = share[chosen] + 1e-6
            share = share / share.sum(0)
        mean = (share[..., None] * colors).sum(0)
        seams = blurred((colors - mean).square().sum(-1), 1.0)
        alone = 1.0 - blurred(share, 1.5)
        small = -torch.log(share.mean((1, 2)) + 1e-3)[:, None, None]
        share = torch.softmax(-(data + COLOR * seams + SMOOTH * alone + LARGE * small) / heat, 0)
        heat = max(heat * COOLING, COLD)
    return share, labels


def _composed(index: ExemplarIndex, share: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
    """`[1,3,H,W]`: colors blended across the seams, details of the two most probable labels of every pixel."""
    inside, cells = index.cells(labels, *share.shape[-2:])
    soft = blurred(share, 0.8) * inside + 1e-5
    low = ((soft / soft.sum(0))[..., None] * index.colors[cells]).sum(0)
    output = F.interpolate(low.permute(2, 0, 1)[None], (height, width), mode="bicubic", align_corners=False)
    covered = inside + (~inside) * UNCOVERED
    fine = F.interpolate((blurred(share, 0.7) * covered)[None], (height, width), mode="bilinear", align_corners=False)
    strongest, which = fine[0].topk(min(2, len(labels)), dim=0)
    weight = (strongest + 1e-4) ** SHARP
    weight = weight / weight.sum(0)
    for part, label in zip(weight, which, strict=True):
        output = output + part * index.details(labels, label)
    return output


def _relit(output: Tensor, guide: Tensor) -> Tensor:
    """The output with its brightness shifted toward the guide's."""
    reduced = F.avg_pool2d(output, CELL)[0]
    luma = blurred(luma_of(reduced, 0)[None], 1.0)
    gain = ((blurred(guide[None], 1.0) + DARKEST) / (luma + DARKEST).clamp(min=DARKEST)).clamp(0.5, 1.8) ** RELIGHT
    return output * F.interpolate(gain[None], output.shape[-2:], mode="bilinear", align_corners=False)


ARCHITECTURE = Architecture(
    "exemplar_montage",
    ExemplarMontage,
    ExemplarMontageArguments,
    "translation",
    small={"pictures": 4, "side": 64},
    learns="exemplars",
)
