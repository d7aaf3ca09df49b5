"""A network with its card, as a Translator of pictures."""

from __future__ import annotations

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
        `card.prepare` says how a picture is turned into the input; None for a network that reads pictures as they are.
    network
        Takes `[B,C,H,W]`, see `inpaint_core.models`. Its mode is left alone; `predict` runs it in evaluation mode, so
        that nothing is random and frames are independent.
    """

    does = "translates pictures"

    @torch.no_grad()
    def predict(self, inputs: Tensor) -> Tensor:
        """Run the network.

        Parameters
        ----------
        inputs
            What the network was trained on, in 0..1: `[B,1,H,W]` from `translation.prepare` where the card has settings
            for it, color `[B,3,H,W]` otherwise; any size from 1x1, on any device.

        Returns
        -------
        Tensor
            Float32 `[B,3,H,W]` in 0..1 on the device of `inputs`; half precision is used inside on a CUDA GPU.
        """
        device = self.device
        feed = to_range(inputs.to(device, torch.float32), self.card.value_range)
        padded, window = pad_to_multiple(feed, self.network.multiple, self.network.minimum)
        half = torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")
        with evaluation_mode(self.network), half:
            output = self.network(padded)
        return from_range(crop_padding(output.float(), window), self.card.value_range).to(inputs.device)
