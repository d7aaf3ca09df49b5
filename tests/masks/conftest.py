from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate


@pytest.fixture(scope="session")
def photo() -> Tensor:
    """A photograph `[3,256,256]`, 0..1."""
    from skimage import data

    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1).float() / 255.0
    return interpolate(picture[None], size=(256, 256), mode="area")[0]
