"""Globally and locally consistent completion (Iizuka et al. 2017, SIGGRAPH): three phases with one discriminator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.losses.adversarial import discriminator_loss, generator_loss
from inpaint_core.losses.reconstruction import mse
from inpaint_core.models.architecture import Network
from inpaint_core.models.global_local_discriminator import hole_centers

from ..config import GlcicConfig, TrainConfig
from ..dataset.samples import Batch, shares
from ..placement import Placement
from .collapse_guard import CollapseGuard
from .discriminator import build_discriminator
from .inpainting import InpaintingObjective, composite, judged_part
from .optimization import Trainable
from .tally import Tally

# As in the paper: the local discriminator sees 96 of 160 pixels.
LOCAL_SHARE = 0.6


class Glcic(InpaintingObjective):
    """First only the completion network is trained, then only the discriminator, then both (algorithm 1 of the paper).

    The discriminator sees the ground truth, and the completed picture with the known pixels put back and detached from
    the generator; its local half sees the surroundings of the center of each picture's hole.
    """

    def __init__(
        self, objective: GlcicConfig, config: TrainConfig, card: ModelCard, network: Network, placement: Placement
    ) -> None:
        super().__init__(config, card, network, placement)
        self._objective = objective
        self._discriminator = _build_discriminator(objective, config, placement)
        self._guard = CollapseGuard(objective.guard)
        self._joint_from = objective.completion_steps + objective.discriminator_steps
        self._step = 0

    @property
    def keeps_latest(self) -> bool:
        """In adversarial training, the distance to the ground truth no longer tells which model is better."""
        return self._step >= self._joint_from

    def step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        """See `Objective.step`."""
        objective = self._objective
        if step in (objective.completion_steps, self._joint_from):
            alone = step < self._joint_from
            self.messages.append(
                f"step {step}: from now on, {'only the discriminator is' if alone else 'both networks are'} trained"
            )
        completes = step < objective.completion_steps or step >= self._joint_from
        discriminates = step >= objective.completion_steps
        tally = Tally(self._placement)
        values: dict[str, float] = {}
        try:
            self._generator.begin()
            self._discriminator.begin()
            if discriminates:
                values = self._discriminator_step(parts, step)
            if completes:
                for part, share, last in shares(parts):
                    with self._generator.gathering(last):
                        terms = self._completion_terms(part, adversarial=discriminates)
                        self._generator.backward(terms["loss"] * share)
                    tally.add(terms, share)
                values = tally.read() | values
                self._generator.apply(step)
        finally:
            self._generator.discard()
            self._discriminator.discard()
        self._step = step + 1
        return values if completes else {"loss": values["discriminator"], **values}

    def _discriminator_step(self, parts: Sequence[Batch], step: int) -> dict[str, float]:
        learns = self._guard.learns(step)
        tally = Tally(self._placement)
        for part, share, last in shares(parts):
            with torch.no_grad():
                fake = composite(self._complete(part), part.image, part.mask)
            with self._discriminator.gathering(last), torch.set_grad_enabled(learns):
                centers = hole_centers(judged_part(part))
                with self._discriminator.autocast():
                    real_logits = self._discriminator.forward(part.image, centers)
                    fake_logits = self._discriminator.forward(fake, centers)
                loss = discriminator_loss(real_logits.float(), fake_logits.float(), "logistic")
                if learns:
                    self._discriminator.backward(loss * share)
            tally.add({"discriminator": loss}, share)
        values = tally.read()
        if learns:
            self._discriminator.apply(step, self._guard.rate)
        message = self._guard.watch(step, values["discriminator"])
        if message is not None:
            self.messages.append(message)
        return values

    def _completion_terms(self, batch: Batch, adversarial: bool) -> dict[str, Tensor]:
        output = self._complete(batch)
        error, _ = self._hole_and_valid(mse(output, batch.image), batch)
        if not adversarial:
            return {"loss": error, "hole": error}
        discriminator = self._discriminator
        discriminator.network.requires_grad_(False)
        with discriminator.autocast():
            # The plain network: its gradients are not needed, so processes must not exchange any.
            logits = discriminator.network(composite(output, batch.image, batch.mask), hole_centers(judged_part(batch)))
        g_loss = generator_loss(logits.float(), "logistic")
        weight = self._objective.alpha * (
            self._balance(error, g_loss, output) if self._objective.adaptive_weight else 1.0
        )
        discriminator.network.requires_grad_(True)
        return {"loss": error + weight * g_loss, "hole": error, "adversarial": g_loss}

    def _balance(self, error: Tensor, g_loss: Tensor, output: Tensor) -> Tensor:
        """Ratio of both losses' gradients at the output, as in Esser et al. 2021 (arXiv 2012.09841, eq. 7)."""
        (wanted,) = torch.autograd.grad(error, output, retain_graph=True)
        (given,) = torch.autograd.grad(g_loss, output, retain_graph=True)
        return (wanted.norm() / (given.norm() + 1e-6)).clamp(0.0, 1e4).detach()

    def state_dict(self) -> dict[str, Any]:
        """See `Objective.state_dict`."""
        return {
            "generator": self._generator.state_dict(),
            "discriminator": self._discriminator.state_dict(),
            "guard": self._guard.state_dict(),
            "step": self._step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Objective.load_state_dict`."""
        self._generator.load_state_dict(state["generator"])
        self._discriminator.load_state_dict(state["discriminator"])
        self._guard.load_state_dict(state["guard"])
        self._step = state["step"]


def _build_discriminator(objective: GlcicConfig, config: TrainConfig, placement: Placement) -> Trainable[Network]:
    size = config.data.size
    sizes = {"image_size": size, "local_size": max(16, round(LOCAL_SHARE * size))}
    return build_discriminator(
        "global_local_discriminator", sizes | objective.discriminator, objective, config, placement
    )
