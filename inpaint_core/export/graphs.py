"""Graphs to export: a model with everything around its network, for one picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checkpoints.inpainting_model import InpaintingModel
from ..checkpoints.translation_model import TranslationModel
from ..tracing import largest, real, rounded, smallest
from ..translation.frames import MAX_LENGTH_RATIO
from ..translation.preparation import prepare
from ..translation.resampling import resize_linear


class PictureGraph(nn.Module):
    """Base class: a model for one picture at a time.

    Attributes
    ----------
    inputs, output
        Names in the file.
    trained_side
        Side in pixels of the model's training pictures.
    chooses
        Whether the network selects pieces of pictures, where rounding decides between two that fit equally well.
    """

    inputs: tuple[str, ...]
    output: str

    def __init__(self, model: InpaintingModel | TranslationModel) -> None:
        super().__init__()
        self.network = model.network
        self.trained_side = model.card.trained_size
        self.chooses = model.network.exact or getattr(model.network, "detail_share", 0.0) > 0.0


class FillGraph(PictureGraph):
    """Fills the hole of a picture with the network's own fill; all other pixels are unchanged."""

    inputs = ("image", "mask")
    output = "filled"

    def __init__(self, model: InpaintingModel) -> None:
        super().__init__(model)
        self._model = model

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """`[1,3,H,W]` in 0..1 and `[1,1,H,W]`, above 0.5 = hole, give `[1,3,H,W]` in 0..1."""
        hole = (mask > 0.5).float()
        return torch.where(hole > 0.5, self._model.complete(image, hole), image)


class TranslationGraph(PictureGraph):
    """Translates a picture as a whole, as `translate` does with a single frame."""

    inputs = ("image",)
    output = "translated"

    def __init__(self, model: TranslationModel) -> None:
        super().__init__(model)
        self._model = model

    def forward(self, image: Tensor) -> Tensor:
        """`[1,3,H,W]` in 0..1 gives `[1,3,H,W]` in 0..1; the shorter side is scaled to the training size in between."""
        height, width = image.shape[-2:]
        shorter, longer = smallest(height, width), largest(height, width)
        scale = smallest(self.trained_side / real(shorter), MAX_LENGTH_RATIO * self.trained_side / real(longer))
        rows, columns = (largest(1, rounded(real(side) * scale)) for side in (height, width))
        view = resize_linear(image, (rows, columns))
        settings = self._model.card.prepare
        seen = view if settings is None else prepare(view, settings)
        return resize_linear(self._model.predict(seen), (height, width))


def graph_of(model: InpaintingModel | TranslationModel) -> PictureGraph:
    """The graph to export for a model."""
    return TranslationGraph(model) if isinstance(model, TranslationModel) else FillGraph(model)
