"""Index of the exemplars: their windows, reduced like inputs, and their details."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from ..tracing import is_tracing

CELL = 8  # pixels
FORM = 6  # windows are compared by FORM x FORM values and their mean
BRIGHTNESS = 0.5  # weight of that mean
REDUCTION = 12  # details that inputs lack are also removed from the exemplars


class ExemplarIndex:
    """Everything derived from the exemplars, on their device.

    Picture `n + N` is picture `n` mirrored.

    Parameters
    ----------
    pictures
        RGB, `[N,3,S,S]` in 0..1, S a multiple of 64.

    Attributes
    ----------
    grid
        Cells per side.
    guides, colors
        Brightness as in inputs, `[2N*g*g]`, and mean color, `[2N*g*g,3]`, of every cell.
    brightness
        All values of `guides`, sorted; `mean` and `spread` are their mean and standard deviation.
    """

    def __init__(self, pictures: Tensor) -> None:
        self.side = pictures.shape[-1]
        self.grid = self.side // CELL
        self.count = len(pictures)
        gray = luma_of(pictures, 1)[:, None]
        small = round(self.side / REDUCTION)
        soft = F.interpolate(gray, (small, small), mode="area")
        soft = F.interpolate(soft, (self.side, self.side), mode="bicubic", align_corners=False).clamp(0.0, 1.0)
        guides = F.avg_pool2d(soft, CELL)[:, 0]
        guides = torch.cat([guides, guides.flip(2)])
        low = blurred(F.avg_pool2d(pictures, CELL), 0.8)
        smooth = F.interpolate(low, (self.side, self.side), mode="bicubic", align_corners=False)
        self._details = ((pictures - smooth) * 127.0).round().to(torch.int8).permute(0, 2, 3, 1).reshape(-1, 3)
        self.colors = torch.cat([low, low.flip(3)]).permute(0, 2, 3, 1).reshape(-1, 3)
        self.guides = guides.flatten()
        self.brightness = self.guides.sort().values
        self.mean, self.spread = self.guides.mean(), self.guides.std(correction=0)
        self._banks = {}
        for window in self.windows(self.side):
            forms = _forms(guides.unfold(1, window, 1).unfold(2, window, 1).reshape(-1, window, window))
            self._banks[window] = (forms.mT.contiguous(), forms.square().sum(1))

    @staticmethod
    def windows(side: int) -> tuple[int, int]:
        """Sides, in cells, of the windows looked up in exemplars of `side` pixels."""
        return 3 * side // (8 * CELL), 5 * side // (8 * CELL)

    def look_up(self, guide: Tensor, count: int) -> Tensor:
        """For every window of a guide, with windows overlapping by half, the best place in each of the `count` best
        pictures.

        Parameters
        ----------
        guide
            `[h,w]`, brightness in cells, no side smaller than the larger window.

        Returns
        -------
        Tensor
            int64 `[L,3]` without duplicates: picture, and its row and column at the guide's origin.
        """
        found = []
        for window, (forms, squares) in self._banks.items():
            rows, columns = (_starts(side, window, guide.device) for side in guide.shape)
            windows = _cut(guide, window, rows, columns)
            distance = squares - 2.0 * _forms(windows.reshape(-1, window, window)) @ forms
            places = self.grid - window + 1
            best, place = distance.unflatten(1, (2 * self.count, -1)).min(2)
            picture = best.topk(min(count, 2 * self.count), 1, largest=False).indices
            place = place.gather(1, picture)
            top, left = (starts.reshape(-1, 1) for starts in torch.meshgrid(rows, columns, indexing="ij"))
            shifts = torch.stack([picture, place // places - top, place % places - left], 2)
            found.append(shifts.reshape(-1, 3))
        return torch.cat(found).unique(dim=0)

    def cells(self, labels: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Extent of labels `[L,3]`, bool `[L,h,w]`, and the cell at each place, an index into `colors`.

        Beyond its border a picture is mirrored.
        """
        picture, down, right = (part[:, None, None] for part in labels.unbind(1))
        row = torch.arange(height, device=labels.device)[None, :, None] + down
        column = torch.arange(width, device=labels.device)[None, None, :] + right
        inside = (row >= 0) & (row < self.grid) & (column >= 0) & (column < self.grid)
        return inside, (picture * self.grid + _mirrored(row, self.grid)) * self.grid + _mirrored(column, self.grid)

    def details(self, labels: Tensor, which: Tensor) -> Tensor:
        """Details `[3,H,W]` around 0 of the label given by `which` `[H,W]` for every pixel."""
        height, width = which.shape
        picture, down, right = (part[which] for part in labels.unbind(1))
        row = _mirrored(torch.arange(height, device=which.device)[:, None] + down * CELL, self.side)
        column = _mirrored(torch.arange(width, device=which.device)[None, :] + right * CELL, self.side)
        turned = picture >= self.count
        column = torch.where(turned, self.side - 1 - column, column)
        picture = picture - turned.long() * self.count
        return self._details[(picture * self.side + row) * self.side + column].permute(2, 0, 1).float() / 127.0


def luma_of(colors: Tensor, dim: int) -> Tensor:
    """Luma (ITU-R BT.601) of RGB along dimension `dim`, which is removed."""
    red, green, blue = colors.unbind(dim)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def blurred(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `[...,h,w]` with `sigma` in cells; at the border the weights inside sum to 1."""
    matrix = _gaussian if is_tracing() else _remembered_gaussian
    rows, columns = (matrix(side, sigma, maps.device) for side in maps.shape[-2:])
    return rows @ maps @ columns.T


def _gaussian(side: int, sigma: float, device: torch.device) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        place = torch.arange(side, dtype=torch.float32)
        weight = torch.exp(-0.5 * ((place[:, None] - place[None]) / sigma) ** 2)
        return (weight / weight.sum(1, keepdim=True)).to(device)


_remembered_gaussian = lru_cache(maxsize=64)(_gaussian)


def _mirrored(place: Tensor, length: int) -> Tensor:
    """Positions on a line mirrored at both ends."""
    place = place.remainder(2 * length)
    return torch.minimum(place, 2 * length - 1 - place)


def _starts(side: int, window: int, device: torch.device) -> Tensor:
    """Starts of windows overlapping by half, with the last one at the end."""
    last = side - window
    if is_tracing():
        starts = torch.arange(0, last, max(1, window // 2), device=device)
        return torch.cat([starts, torch.as_tensor(last, device=device)[None]])
    return torch.tensor(sorted({*range(0, last, max(1, window // 2)), last}), device=device)


def _cut(guide: Tensor, window: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Windows of `[h,w]` that start at the given rows and columns, `[R,C,k,k]`."""
    if is_tracing():
        inside = torch.arange(window, device=guide.device)
        return guide[(rows[:, None] + inside)[:, None, :, None], (columns[:, None] + inside)[None, :, None, :]]
    return guide.unfold(0, window, 1).unfold(1, window, 1)[rows][:, columns]


def _forms(windows: Tensor) -> Tensor:
    """Descriptors of windows `[N,k,k]`, `[N,f*f+1]`, whose squared distances are mean squares over a window."""
    mean = windows.mean((1, 2), keepdim=True)
    side = min(FORM, windows.shape[-1])
    form = _pooled(windows - mean, side).flatten(1) / side
    return torch.cat([form, BRIGHTNESS * mean[:, 0]], 1)


def _pooled(windows: Tensor, side: int) -> Tensor:
    """Averages `[N,f,f]` of windows `[N,k,k]`."""
    if not is_tracing():
        return F.adaptive_avg_pool2d(windows[:, None], side)[:, 0]
    # Exported graphs have no pooling into windows of different sizes.
    across = windows.shape[-1]
    bounds = [(place * across // side, -(-(place + 1) * across // side)) for place in range(side)]
    shares = [[(first <= row < last) / (last - first) for row in range(across)] for first, last in bounds]
    matrix = torch.tensor(shares, device=windows.device)
    return matrix @ windows @ matrix.T
