"""The node Reimagine and the live preview, on a network with random weights."""

from __future__ import annotations

import pytest
import torch

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.models import build_model

DEFAULTS = dict(strength=1.0, rounds=3, seed=0, parts="cells", part_count=20, feather=4, blend="alpha")


@pytest.fixture
def model(host):
    arguments = {"width": 4, "depth": 3}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=32)
    return host.hosted(InpaintingModel(card, build_model("unet", **arguments)))


def image(count=2, height=40, width=60):
    return torch.rand(count, height, width, 4, generator=torch.Generator().manual_seed(0))


def test_everything_but_the_protected_part_and_alpha_is_replaced(nodes, model):
    before = image()
    protect = torch.zeros(1, 40, 60)
    protect[:, 10:20, 10:30] = 1
    after, strip = nodes.Reimagine.execute(model, before, protect=protect, **DEFAULTS).args
    changed = (after[..., :3] != before[..., :3]).any(-1)
    assert torch.equal(changed, (protect == 0).expand(2, -1, -1))
    assert torch.equal(after[..., 3], before[..., 3])
    assert strip.shape == (1, 40, 4 * 60, 3)
    assert torch.equal(strip[0, :, :60], before[0, ..., :3])
    assert torch.equal(strip[0, :, 180:], after[0, ..., :3])


def test_an_unpainted_mask_protects_nothing(nodes, model):
    before = image(1)
    placeholder = torch.zeros(1, 64, 64)
    one = nodes.Reimagine.execute(model, before, protect=placeholder, **DEFAULTS).args[0]
    assert torch.equal(one, nodes.Reimagine.execute(model, before, **DEFAULTS).args[0])


@pytest.mark.parametrize("node", ["Reimagine", "Inpaint", "ClassicalFillNode"])
def test_the_bar_moves_and_cancel_ends_the_work(nodes, host, model, node):
    import comfy.model_management
    import comfy.utils

    mask = torch.ones(1, 40, 60)
    calls = {
        "Reimagine": lambda: nodes.Reimagine.execute(model, image(), **DEFAULTS),
        "Inpaint": lambda: nodes.Inpaint.execute(
            model, image(), mask, "auto", 0, 8, "alpha", False, False, 0.5, detail="network"
        ),
        "ClassicalFillNode": lambda: nodes.ClassicalFillNode.execute(image(), mask, "mean", 0, False, 0.5),
    }
    calls[node]()
    done = [value for value, _, _ in comfy.utils.updates]
    assert done == sorted(done)
    assert done[-1] == (6 if node == "Reimagine" else 2)
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        calls[node]()


def test_a_preview_is_shown_when_the_work_takes_long(nodes, host, model, monkeypatch):
    import importlib

    import comfy.utils

    live_preview = importlib.import_module(f"{nodes.__name__}.live_preview")
    monkeypatch.setattr(live_preview, "SECONDS", 0.0)
    mask = torch.ones(1, 40, 60)
    nodes.Inpaint.execute(model, image()[..., :1], mask, "auto", 0, 8, "alpha", False, False, 0.5)
    kind, picture, longest = comfy.utils.updates[-1][2]
    assert (kind, picture.size, picture.mode, longest) == ("JPEG", (60, 40), "RGB", 512)
