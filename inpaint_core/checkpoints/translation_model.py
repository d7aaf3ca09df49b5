"""A network with its card, as a Translator of pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..models.evaluation_mode import evaluation_mode
from ..models.padding import crop_padding, pad_to_multiple
from .described_model import DescribedModel
from .inpainting_model import from_range, to_range


class TranslationModel(DescribedModel):
    """A translation network and how its input is prepared.

    Parameters
    ----------
    card
        `card.prepare` describes how a picture is turned into the input; None for a network that reads pictures as they
        are.
    network
        Takes `[B,C,H,W]`; see `inpaint_core.models`. Its mode is not changed; `predict` runs it in evaluation mode, so
        that nothing is random and frames are independent.
    """

    @torch.no_grad()
    def predict(self, inputs: Tensor, *, previous: Tensor | None = None, coherence: float = 0.0) -> Tensor:
        """Run the network.

        Parameters
        ----------
        inputs
            What the network was trained on, in 0..1: `[B,1,H,W]` from `translation.prepare` if the card has settings
            for it, color `[B,3,H,W]` otherwise; any size from 1x1, on any device.
        previous
            Output `[1,3,H,W]` in 0..1 for the frame before the first of `inputs`. Only used by networks with
            `Network.uses_previous`, whose output then changes less from frame to frame.
        coherence
            Strength of this effect, from 0 to 1.

        Returns
        -------
        Tensor
            Float32 `[B,3,H,W]` in 0..1 on the device of `inputs`; half precision is used internally on a CUDA GPU.
        """
        device = self.device
        feed = to_range(inputs.to(device, torch.float32), self.card.value_range)
        padded, window = pad_to_multiple(feed, self.network.multiple, self.network.minimum)
        options: dict[str, Any] = {}
        if self.network.uses_previous and previous is not None and coherence > 0.0:
            before = to_range(previous.to(device, torch.float32), self.card.value_range)
            before, _ = pad_to_multiple(before, self.network.multiple, self.network.minimum)
            options = {"previous": before, "coherence": coherence}
        half = torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")
        with evaluation_mode(self.network), half:
            output = self.network(padded, **options)
        return from_range(crop_padding(output.float(), window), self.card.value_range).to(inputs.device)
