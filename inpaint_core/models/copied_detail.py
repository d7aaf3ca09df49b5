"""Fine detail for a network's fill, copied from where the known part of the picture looks alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 4  # side in pixels of the cells that the picture is divided into
PATCH = 2 * CELL  # what is copied for each of them: neighbours overlap by half
MARGIN = (PATCH - CELL) // 2
SMOOTHING = 9  # side in pixels of the box that tells detail from the rest
SOURCES = 4096  # cells that a cell can be filled from, at most: more make large pictures slow, not better
ROWS = 1024  # cells that are compared at a time, which bounds the memory
ALIKE = 1e-6
WIDTH = 16
TRUST = 2.0  # logit of how much of the copied detail is taken before anything has been learnt


class CopiedDetail(nn.Module):
    """Replace the fine detail of a fill by that of the known cells whose surroundings look most like its own.

    Networks of a few million weights predict colours and edges well and textures badly. So only the large is kept of
    what they predict, and the difference of the known picture from its own average is copied into it, as in contextual
    residual aggregation (Yi et al. 2020, arXiv 2005.09704, section 3.2); unlike there the best match alone is taken, as
    averages of several blur, and it is found by comparing the colours of the fill. A small network sees both and
    decides, for every pixel, how much of the copy to take, and adds a correction of its own.

    Nothing is learnt of the matching, which has no gradients; they reach the fill through what is kept of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refine = nn.Sequential(
            nn.Conv2d(10, WIDTH, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(WIDTH, 4, 3, padding=1),
        )

    def initialise_last(self) -> None:
        """Start by taking most of what is copied and correcting nothing; the other layers are set already."""
        last = self.refine[-1]
        nn.init.zeros_(last.get_parameter("weight"))
        with torch.no_grad():
            last.get_parameter("bias").copy_(torch.tensor([0.0, 0.0, 0.0, TRUST]))

    def forward(self, picture: Tensor, fill: Tensor, mask: Tensor) -> Tensor:
        """The fill with detail.

        Parameters
        ----------
        picture, fill
            `[B,3,H,W]`, of mean 0 and deviation 1, H and W multiples of 4: what is known, and what a network made of
            it. What lies in the picture's hole must be finite and is ignored.
        mask
            `[B,1,H,W]`, 1 = hole.

        Returns
        -------
        Tensor
            `[B,3,H,W]`. Where a picture has no hole, or nothing known to copy from, its fill takes no detail.
        """
        merged = torch.where(mask > 0.5, fill, picture)
        smooth = box_average(merged)
        detail = merged - smooth
        with torch.no_grad():
            copied = copy_detail(merged.float(), detail.float(), mask).to(fill.dtype)
        learnt = self.refine(torch.cat([smooth, detail, copied, mask], 1))
        trust = torch.sigmoid(learnt[:, 3:])
        return fill + trust * (copied - detail) + learnt[:, :3]


def box_average(values: Tensor) -> Tensor:
    """Average of `[B,C,H,W]` over the 9x9 pixels around every pixel that lie inside the picture."""
    return F.avg_pool2d(values, SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False)


@torch.no_grad()
def copy_detail(picture: Tensor, detail: Tensor, mask: Tensor) -> Tensor:
    """Detail for every cell that the hole touches, from the known cell whose surroundings look most alike.

    Parameters
    ----------
    picture, detail
        `[B,3,H,W]`, H and W multiples of 4: the filled picture, by which cells are compared (at half the resolution,
        with all eight neighbours), and what is copied.
    mask
        `[B,1,H,W]`, 1 = hole.

    Returns
    -------
    Tensor
        `[B,3,H,W]`: overlapping patches of `detail`, averaged; `detail` itself where nothing is known to copy from.
    """
    height, width = picture.shape[-2:]
    cells = F.pixel_unshuffle(F.avg_pool2d(picture, 2), CELL // 2)
    cells = cells - cells.mean((2, 3), keepdim=True)
    keys = F.normalize(F.unfold(cells, 3, padding=1), dim=1, eps=ALIKE)
    touched = F.max_pool2d(mask, CELL)
    holes = touched.flatten(1) > 0.5
    sources = F.max_pool2d(touched, 3, 1, 1).flatten(1) < 0.5
    patches = F.unfold(detail, PATCH, padding=MARGIN, stride=CELL)
    for number in range(len(picture)):
        wanted = holes[number].nonzero()[:, 0]
        offered = sources[number].nonzero()[:, 0]
        if len(offered) == 0 or len(wanted) == 0:
            continue
        offered = offered[:: -(-len(offered) // SOURCES)]
        known = keys[number][:, offered]
        for rows in wanted.split(ROWS):
            best = (keys[number][:, rows].T @ known).argmax(1)
            patches[number, :, rows] = patches[number][:, offered[best]]
    counts = F.unfold(torch.ones_like(picture[:1, :1]), PATCH, padding=MARGIN, stride=CELL)
    size = (height, width)
    total = F.fold(patches, size, PATCH, padding=MARGIN, stride=CELL)
    return total / F.fold(counts, size, PATCH, padding=MARGIN, stride=CELL)
