from torch import Tensor
from torch.nn import functional as F


def grow(mask: Tensor, pixels: int) -> Tensor:
    return F.max_pool2d(mask, 2 * pixels + 1, 1, pixels)


def shrink(mask: Tensor, pixels: int) -> Tensor:
    return 1 - grow(1 - mask, pixels)


def feather(mask: Tensor, pixels: int, inward: bool = True) -> Tensor:
    r = max(1, pixels // 2)
    return F.avg_pool2d(shrink(mask, r), 2 * r + 1, 1, r, count_include_pad=False)
