"""Exemplars: a network that contains pictures is trained by selecting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.models.architecture import Network
from inpaint_core.models.exemplar_montage import ExemplarMontage
from inpaint_core.translation import prepare

from ..config import ConfigError, ExemplarsConfig, TrainConfig
from ..dataset.samples import Batch
from ..placement import Placement
from .translation import TranslationObjective

FORM, COLORS = 16, 4  # values along a side of the pictures' descriptors
SEEN = 512  # number of latest pictures that a selection is evaluated on


class Exemplars(TranslationObjective):
    """k-medoids: for every training picture, there should be an exemplar of similar shapes and colors.

    Each step replaces exemplars with pictures of the batch as long as this lowers the mean squared distance of the
    latest training pictures from their nearest exemplar (CLARANS: Ng and Han 2002; the gains of all exchanges are
    computed at once as in FastPAM1: Schubert and Rousseeuw 2019, arXiv 1810.05691, eq. 9).
    """

    keeps_latest = True

    def __init__(
        self,
        objective: ExemplarsConfig,
        config: TrainConfig,
        card: ModelCard,
        network: Network,
        placement: Placement,
    ) -> None:
        super().__init__(card)
        if not isinstance(network, ExemplarMontage):
            raise ConfigError(f"{card.architecture!r} has no exemplars", "model.architecture")
        if network.side != config.data.size:
            raise ConfigError(
                f"{config.data.size} was given, but the network's exemplars have a side of {network.side} pixels: set "
                f"model.arguments.side to the same number",
                "data.size",
            )
        self._objective = objective
        self._placement = placement
        self._steps = config.steps
        self._network = network.to(placement.device).eval()
        known = config.model.init_from is not None
        pictures = network.pictures()
        self._held = self._describe(pictures)
        self._sharpness = sharpness(pictures)
        self._names = ["(initial model)" if known else ""] * len(pictures)
        self._filled = len(pictures) if known else 0
        self._seen = self._held[:0]

    @property
    def _result(self) -> Network:
        return self._network

    @torch.no_grad()
    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        images = self._placement.gather(torch.cat([part.image for part in parts]))
        names = self._placement.gather_names([name for part in parts for name in part.files])
        offered, sharp = self._describe(images), sharpness(images)
        self._seen = torch.cat([self._seen, offered])[-SEEN:]
        taken = min(len(images), len(self._names) - self._filled)
        for number in range(taken):
            self._store(self._filled, number, images, offered, sharp, names)
            self._filled += 1
        swaps = 0
        while taken < len(images) and self._filled == len(self._names) and swaps < len(images):
            cost, out, new = best_exchange(
                torch.cdist(self._seen, self._held).square(),
                torch.cdist(self._seen, offered[taken:]).square(),
                self._penalty(sharp[taken:], names[taken:]),
            )
            if not cost < -1e-7:
                break
            self._store(out, taken + new, images, offered, sharp, names)
            swaps += 1
        if step + 1 == self._steps:
            self.messages.append("the exemplars are " + ", ".join(sorted(set(filter(None, self._names)))))
        distance = torch.cdist(self._seen, self._held[: self._filled]).square().amin(1).mean()
        return {"loss": float(distance), "exchanged": float(swaps), "sharpness": float(self._sharpness.mean())}

    def _penalty(self, sharp: Tensor, names: Sequence[str]) -> Tensor:
        """`[N,K]`: additional costs of exchanges; a photograph that is already an exemplar may only replace itself."""
        penalty = self._objective.focus * (self._sharpness[:, None] - sharp[None]) / len(self._names)
        held = set(self._names)
        twice = [[new in held and new != old for new in names] for old in self._names]
        return penalty.masked_fill(torch.tensor(twice, device=penalty.device), torch.inf)

    def _store(
        self, place: int, number: int, images: Tensor, offered: Tensor, sharp: Tensor, names: Sequence[str]
    ) -> None:
        self._network.set_exemplars(images[number : number + 1], place)
        self._held[place], self._sharpness[place] = offered[number], sharp[number]
        self._names[place] = names[number]

    def _describe(self, pictures: Tensor) -> Tensor:
        """`[B,D]`: shapes as seen by the network, and colors; squared distances are mean squared differences."""
        assert self._card.prepare is not None
        forms = F.adaptive_avg_pool2d(prepare(pictures, self._card.prepare), FORM).flatten(1)
        forms = (forms - forms.mean(1, keepdim=True)) / (forms.std(1, keepdim=True, correction=0) + 0.05)
        colors = F.adaptive_avg_pool2d(pictures, COLORS).flatten(1)
        weight = self._objective.color**0.5
        return torch.cat([forms / FORM, weight * colors / (3**0.5 * COLORS)], 1)

    def learning_rate(self, step: int) -> float:
        """See `Objective.learning_rate`: there are no gradients here."""
        return 0.0

    def state_dict(self) -> dict[str, Any]:
        """See `Objective.state_dict`."""
        return {
            "network": self._network.state_dict(),
            "held": self._held,
            "sharpness": self._sharpness,
            "names": list(self._names),
            "filled": self._filled,
            "seen": self._seen,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Objective.load_state_dict`."""
        self._network.load_state_dict(state["network"])
        device = self._placement.device
        self._held, self._sharpness, self._seen = (state[key].to(device) for key in ("held", "sharpness", "seen"))
        self._names, self._filled = list(state["names"]), state["filled"]


def best_exchange(held: Tensor, offered: Tensor, penalty: Tensor) -> tuple[float, int, int]:
    """The exchange of an exemplar for an offered picture that reduces the mean distance to the nearest exemplar most.

    Parameters
    ----------
    held
        Distances `[S,N]` of the seen pictures from the exemplars, N at least 1.
    offered
        Distances `[S,K]` of the seen pictures from the offered ones.
    penalty
        `[N,K]`: added to the change of the mean caused by an exchange.

    Returns
    -------
    tuple of float, int and int
        Change of the mean including the penalty, the index to remove and the index to add.
    """
    nearest, which = held.min(1)
    others = held.scatter(1, which[:, None], torch.inf).amin(1)
    # Pictures that keep their nearest one can only gain; others move to the second nearest or to the new one.
    gain = (offered - nearest[:, None]).clamp(max=0.0)
    loss = torch.minimum(offered, others[:, None]) - nearest[:, None] - gain
    owner = F.one_hot(which, held.shape[1]).to(held.dtype)
    change = (gain.sum(0) + owner.T @ loss) / len(held) + penalty
    flat = int(change.argmin())
    out, new = divmod(flat, offered.shape[1])
    return float(change[out, new]), out, new


def sharpness(pictures: Tensor) -> Tensor:
    """`[B]`: the fraction of the contrast of pictures `[B,3,S,S]` that is fine detail, from 0 to 1."""
    gray = pictures.mean(1, keepdim=True)
    fine = gray - F.avg_pool2d(gray, 5, 1, 2, count_include_pad=False)
    return fine.std((1, 2, 3), correction=0) / (gray.std((1, 2, 3), correction=0) + 0.02)
