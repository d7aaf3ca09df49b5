"""Every objective resumes exactly and trains the right networks in each phase, and its guard works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.models.registry import build_model
from training.config import CompositeConfig, ConfigError, GlcicConfig, GuardConfig, TrainConfig, parse_config
from training.engine.session import run_training
from training.errors import CollapsedError
from training.events import Event, Message, StepDone
from training.objectives.collapse_guard import CollapseGuard
from training.objectives.composite import Composite
from training.objectives.feature_view import feature_view, hole_points
from training.objectives.hole_discriminator import build_hole_discriminator, feature_logits, patch_logits
from training.placement import Placement
from training.runs.state import load_newest_state

from .conftest import tiny_values
from .test_losses import vgg16_weights
from .test_resume import assert_same_run, stop_after

OBJECTIVES: dict[str, dict[str, Any]] = {
    "reconstruction": {"objective": {"name": "reconstruction", "loss": "charbonnier"}},
    "composite": {
        "model": {"architecture": "pconv_unet", "arguments": {"depth": 3, "width": 4}},
        "objective": {"name": "composite", "features": "none", "frozen_norm_after": 3},
    },
    "composite with an adversary": {
        "objective": {
            "name": "composite",
            "features": "none",
            "adversarial": 0.1,
            "adversarial_from": 2,
            "discriminator": {"width": 4, "layers": 2},
        },
    },
    "glcic": {
        "model": {"architecture": "glcic", "arguments": {"width": 4}},
        "objective": {
            "name": "glcic",
            "completion_steps": 1,
            "discriminator_steps": 2,
            "discriminator": {"width": 2, "global_layers": 3, "local_layers": 3},
        },
        "optimizer": {"name": "adadelta", "learning_rate": 1.0, "ema": None},
    },
    "pix2pix": {
        "model": {
            "architecture": "pix2pix_unet",
            "arguments": {"width": 4, "depth": 3, "input_channels": 1, "dropout": 0.5},
        },
        "objective": {"name": "pix2pix", "discriminator": {"width": 4, "layers": 2}},
    },
    "pix2pix with noise and a hinge": {
        "model": {"architecture": "texture_unet", "arguments": {"width": 4, "depth": 3}},
        "objective": {
            "name": "pix2pix",
            "adversarial_loss": "hinge",
            "l1_reduction": 4,
            "discriminator": {"width": 4, "layers": 2, "norm": "none", "spectral_norm": True},
        },
    },
}


def configure(name: str, pictures: Path, **changes: Any) -> TrainConfig:
    return parse_config({**tiny_values(pictures), **OBJECTIVES[name], **changes})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_resume_is_exact_for(name: str, pictures: Path, tmp_path: Path) -> None:
    config = configure(name, pictures)
    run_training(config, out=tmp_path / "whole")
    for step in (2, 5):
        should_stop, watch = stop_after(step)
        run_training(config, out=tmp_path / "parts", callbacks=[watch], should_stop=should_stop)
    run_training(config, out=tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_glcic_changes_in_each_phase_only_what_it_says(pictures: Path, tmp_path: Path) -> None:
    config = configure("glcic", pictures, checkpoint_every=1)
    states: dict[int, dict[str, Any]] = {}
    terms: dict[int, set[str]] = {}

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            terms[event.step] = set(event.losses)
        state = load_newest_state(tmp_path / "run" / "state")
        if state is not None and state.step not in states:
            states[state.step] = state.values["objective"]

    run_training(config, out=tmp_path / "run", callbacks=[watch])

    def changed(part: str, before: int, after: int) -> bool:
        one, other = (states[step][part]["network"] for step in (before, after))
        return any(not torch.equal(one[key], other[key]) for key in one if key.endswith("weight"))

    assert (changed("generator", 0, 1), changed("discriminator", 0, 1)) == (True, False)
    assert (changed("generator", 1, 3), changed("discriminator", 1, 3)) == (False, True)
    assert (changed("generator", 3, 4), changed("discriminator", 3, 4)) == (True, True)
    assert terms[1] == {"loss", "hole"}
    assert terms[2] == {"loss", "discriminator"}
    assert terms[4] == {"loss", "hole", "adversarial", "discriminator"}


def test_the_discriminator_of_composite_starts_when_configured(pictures: Path, tmp_path: Path) -> None:
    terms: list[set[str]] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            terms.append(set(event.losses))

    run_training(configure("composite with an adversary", pictures, steps=3), out=tmp_path / "run", callbacks=[watch])
    alone = {"loss", "hole", "valid", "total_variation"}
    assert terms == [alone, alone, alone | {"adversarial", "discriminator"}]


def test_only_patches_that_touch_the_hole_are_scored(pictures: Path) -> None:
    config = configure("composite with an adversary", pictures)
    assert isinstance(config.objective, CompositeConfig)
    discriminator = build_hole_discriminator(config.objective, config, Placement(torch.device("cpu")))
    picture, mask = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 1, 32, 32)
    everywhere = patch_logits(discriminator, discriminator.network, picture, torch.ones_like(mask))
    assert everywhere.numel() == 2 * 6 * 6
    mask[1, :, 3, 3] = 1.0
    chosen = patch_logits(discriminator, discriminator.network, picture, mask)
    assert chosen.numel() == 1
    mask[1] = 0.0
    assert not patch_logits(discriminator, discriminator.network, picture, mask).any()


def test_feature_maps_are_scored_where_their_cells_touch_the_hole(pictures: Path) -> None:
    config = configure("composite with an adversary", pictures)
    objective = CompositeConfig(adversarial=0.1, adversary="features", discriminator={"width": 4})
    discriminator = build_hole_discriminator(objective, config, Placement(torch.device("cpu")))
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(1, width, side, side, generator=generator) for width, side in ((64, 32), (128, 16), (256, 8))]
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 3, 3] = 0.01
    assert [len(logits) for logits in feature_logits(discriminator, discriminator.network, maps, mask)] == [1, 1, 1]
    mask[..., 4:6, 0] = 1.0
    assert [len(logits) for logits in feature_logits(discriminator, discriminator.network, maps, mask)] == [2, 2, 1]


def test_a_feature_discriminator_trains_both_networks_and_resumes_exactly(pictures: Path, tmp_path: Path) -> None:
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    objective = {
        **OBJECTIVES["composite with an adversary"]["objective"],
        "features": str(tmp_path / "vgg.safetensors"),
        "features_side": 32,
        "adversary": "features",
        "discriminator": {"width": 4},
    }
    data = {**tiny_values(pictures)["data"], "size": 64}
    config = configure("composite with an adversary", pictures, objective=objective, data=data, steps=5)
    terms: list[set[str]] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            terms.append(set(event.losses))

    run_training(config, out=tmp_path / "whole", callbacks=[watch])
    should_stop, stop_watch = stop_after(3)
    run_training(config, out=tmp_path / "parts", callbacks=[stop_watch], should_stop=should_stop)
    run_training(config, out=tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert terms[-1] - terms[0] == {"adversarial", "discriminator"}
    blind = configure("composite with an adversary", pictures, objective={**objective, "features": "none"}, data=data)
    with pytest.raises(ConfigError, match="needs a feature extractor"):
        run_training(blind, out=tmp_path / "blind")


def test_feature_terms_and_their_discriminator_start_at_the_configured_step(pictures: Path, tmp_path: Path) -> None:
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    shared = {
        "name": "composite",
        "features": str(tmp_path / "vgg.safetensors"),
        "features_from": 2,
        "adversarial": 0.1,
    }
    data = {**tiny_values(pictures)["data"], "size": 64}
    pixels = {"loss", "hole", "valid", "total_variation"}
    looked_at, judged = {"perceptual", "style"}, {"adversarial", "discriminator"}
    for adversary, early in (("features", set()), ("patches", judged)):
        terms: list[set[str]] = []

        def watch(event: Event, terms: list[set[str]] = terms) -> None:
            if isinstance(event, StepDone):
                terms.append(set(event.losses))

        objective = {**shared, "adversary": adversary, "discriminator": {"width": 4}}
        config = configure("composite with an adversary", pictures, objective=objective, data=data, steps=4)
        run_training(config, out=tmp_path / adversary, callbacks=[watch])
        assert terms == [pixels | early] * 2 + [pixels | looked_at | judged] * 2
        for step in (1, 3):
            should_stop, stop_watch = stop_after(step)
            run_training(config, out=tmp_path / "parts" / adversary, callbacks=[stop_watch], should_stop=should_stop)
        run_training(config, out=tmp_path / "parts" / adversary)
        assert_same_run(tmp_path / adversary, tmp_path / "parts" / adversary)


def test_the_latest_model_is_kept_once_the_feature_terms_have_joined(pictures: Path, tmp_path: Path) -> None:
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    shared = {"name": "composite", "features": str(tmp_path / "vgg.safetensors")}
    for start, latest in ((0, []), (2, [3, 4])):
        config = configure("composite with an adversary", pictures, objective={**shared, "features_from": start})
        network = build_model(config.model.architecture, **config.model.arguments)
        card = ModelCard(architecture=config.model.architecture, arguments=config.model.arguments)
        objective = Composite(config.objective, config, card, network, Placement(torch.device("cpu")))
        kept = []
        for step in range(5):
            objective._step = step
            kept += [step] if objective.keeps_latest else []
        assert kept == latest


def test_points_of_the_hole_are_counted_row_by_row() -> None:
    mask = (torch.rand(3, 1, 7, 9, generator=torch.Generator().manual_seed(1)) > 0.6).float()
    mask[2] = 0.0
    for quantile in (0.0, 0.3, 0.999):
        found = hole_points(mask, quantile).tolist()
        for number in range(2):
            pixels = mask[number, 0].nonzero().tolist()
            assert found[number] == pixels[int(quantile * len(pixels))]
        assert found[2] == [0, 0]


def test_features_are_compared_in_a_window_around_the_hole_and_in_the_reduced_picture() -> None:
    picture = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(2, 1, 64, 64)
    mask[0, :, 40:48, 16:32] = mask[1, :, 30, 30] = 1.0
    (window, twin), seen = feature_view([picture, picture * 2.0], mask, 32, 0)
    assert torch.equal(window[1], picture[1, :, 14:46, 14:46])
    assert torch.equal(twin, window * 2.0)
    assert seen[0].sum() > 0.0
    (reduced,), share = feature_view([picture], mask, 32, 1)
    torch.testing.assert_close(reduced[0, 0, 5, 7], picture[0, 0, 10:12, 14:16].mean())
    assert share[1].sum() == 0.25
    (whole,), same = feature_view([picture], mask, None, 0)
    assert torch.equal(whole, picture)
    assert torch.equal(same, mask)
    corners = {tuple(hole_points(mask[:1], (step * 0.618) % 1.0)[0].tolist()) for step in range(20)}
    assert len(corners) > 15


def test_composite_freezes_the_encoders_normalization_in_its_second_phase(pictures: Path, tmp_path: Path) -> None:
    config = configure("composite", pictures, checkpoint_every=1)
    messages: list[str] = []
    norms: dict[int, torch.Tensor] = {}
    rates: dict[int, float] = {}

    def watch(event: Event) -> None:
        if isinstance(event, Message):
            messages.append(event.text)
        if isinstance(event, StepDone):
            rates[event.step] = event.learning_rate
        state = load_newest_state(tmp_path / "run" / "state")
        if state is not None:
            network = state.values["objective"]["generator"]["network"]
            norms[state.step] = torch.cat(
                [v for k, v in network.items() if k.startswith("encoder.1.norm.running_mean")]
            )

    run_training(config, out=tmp_path / "run", callbacks=[watch])
    assert not torch.equal(norms[2], norms[3])
    assert torch.equal(norms[3], norms[5])
    assert any("second phase" in message for message in messages)
    assert rates[4] == pytest.approx(0.25 * rates[3])


def test_composite_uses_a_local_feature_file_and_says_what_to_do_without(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    objective = {"name": "composite", "features": str(tmp_path / "vgg.safetensors")}
    seen: list[set[str]] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            seen.append(set(event.losses))

    run_training(
        configure("composite", pictures, objective=objective, steps=1), out=tmp_path / "run", callbacks=[watch]
    )
    assert {"perceptual", "style", "total_variation", "hole", "valid"} < seen[0]
    for features in ("vgg16", str(tmp_path / "none.safetensors")):
        if features == "vgg16":
            monkeypatch.setitem(__import__("sys").modules, "torchvision.models", None)
        with pytest.raises(ConfigError, match=r"set it to none"):
            run_training(
                configure("composite", pictures, objective={"name": "composite", "features": features}),
                out=tmp_path / "other",
            )
    assert not (tmp_path / "other").exists()


def test_guard_pauses_slows_and_finally_ends_a_discriminator_that_is_too_strong(pictures: Path, tmp_path: Path) -> None:
    guard = {"threshold": 1.0, "smoothing": 0.0, "patience": 2, "pause": 1, "interventions": 2}
    objective = {**OBJECTIVES["glcic"]["objective"], "guard": guard, "discriminator_rate": 0.01}
    messages: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, Message):
            messages.append(event.text)

    # A threshold above what guessing costs makes every discriminator too strong.
    config = configure("glcic", pictures, objective=objective, steps=60)
    with pytest.raises(CollapsedError, match="separates real from fake"):
        run_training(config, out=tmp_path / "run", callbacks=[watch])
    assert sum("pauses for 1 steps" in message for message in messages) == 2
    assert any("0.5 of the configured" in message for message in messages)
    state = load_newest_state(tmp_path / "run" / "state")
    assert state is not None
    assert state.step > 3


def test_guard_leaves_a_balanced_discriminator_alone() -> None:
    guard = CollapseGuard(GuardConfig())
    assert all(guard.watch(step, 0.69) is None and guard.learns(step) for step in range(1000))
    assert guard.rate == 1.0
    assert GlcicConfig().guard == GuardConfig()


def test_adaptive_weight_follows_the_gradients(pictures: Path, tmp_path: Path) -> None:
    objective = {**OBJECTIVES["glcic"]["objective"], "alpha": 1.0, "adaptive_weight": True}
    losses: list[dict[str, float]] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            losses.append(dict(event.losses))

    run_training(configure("glcic", pictures, objective=objective), out=tmp_path / "run", callbacks=[watch])
    # With the plain weight of 1 the loss would be the sum of both terms.
    joint = [terms for terms in losses if "adversarial" in terms]
    assert any(abs(terms["loss"] - terms["hole"] - terms["adversarial"]) > 0.1 * terms["loss"] for terms in joint)


@pytest.mark.parametrize("name", ["composite with an adversary", "glcic", "pix2pix"])
def test_a_discriminator_that_cannot_be_built_is_rejected(name: str, pictures: Path, tmp_path: Path) -> None:
    for wrong, sentence in (({"brightness": 3}, "objective.discriminator: .*brightness"), ({"width": 0}, "width")):
        objective = {**OBJECTIVES[name]["objective"], "discriminator": wrong}
        with pytest.raises(ConfigError, match=sentence):
            run_training(configure(name, pictures, objective=objective), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["composite with an adversary", "pix2pix"])
def test_a_discriminator_rejects_pictures_too_small_for_it(name: str, pictures: Path, tmp_path: Path) -> None:
    objective = {**OBJECTIVES[name]["objective"], "discriminator": {"width": 4, "layers": 5}}
    with pytest.raises(ConfigError, match=r"data.size: 32 was given, but patch_discriminator needs at least \d\d"):
        run_training(configure(name, pictures, objective=objective), out=tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "section", "changes", "sentence"),
    [
        ("pix2pix", "objective", {"prepare": {"reduction": 2, "contrast": 0.5}}, "reduction 2 is ignored"),
        ("reconstruction", "model", {"fill": "gray"}, "model.fill gray is ignored"),
    ],
)
def test_settings_that_the_initial_model_decides_are_named(
    name: str, section: str, changes: dict[str, Any], sentence: str, pictures: Path, tmp_path: Path
) -> None:
    values = {**tiny_values(pictures), **OBJECTIVES[name], "steps": 1}
    first = run_training(parse_config(values), out=tmp_path / "first")
    same = {**values, "model": {**values["model"], "init_from": str(first.path)}}
    other = {**same, section: {**same[section], **changes}, "steps": 2}
    # The third one resumes the second.
    for config, folder, wanted in ((same, "same", 0), (other, "other", 1), ({**other, "steps": 3}, "other", 1)):
        warnings: list[str] = []

        def watch(event: Event, said: list[str] = warnings) -> None:
            if isinstance(event, Message) and event.level == "warning":
                said.append(event.text)

        result = run_training(parse_config(config), out=tmp_path / folder, callbacks=[watch], resume="auto")
        assert sum(sentence in text for text in warnings) == wanted
        assert result.model.card.fill == first.model.card.fill
    kept, began = result.model.card.prepare, first.model.card.prepare
    if kept is not None and began is not None:
        assert (kept.reduction, kept.contrast, began.contrast) == (began.reduction, 0.5, 0.15)


def test_an_objective_rejects_a_network_for_another_task(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is for inpainting"):
        run_training(configure("pix2pix", pictures, model={"architecture": "unet"}), out=tmp_path / "run")
    with pytest.raises(ConfigError, match="is for translation"):
        run_training(
            configure("reconstruction", pictures, model={"architecture": "pix2pix_unet"}), out=tmp_path / "run"
        )
    objective = {"name": "composite", "features": "none", "frozen_norm_after": 1}
    with pytest.raises(ConfigError, match="no encoder normalization"):
        run_training(configure("reconstruction", pictures, objective=objective), out=tmp_path / "run")


def pix2pix_terms(pictures: Path, out: Path, **objective: Any) -> dict[str, float]:
    """What the first step of a translation is measured by."""
    terms: list[dict[str, float]] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepDone):
            terms.append(dict(event.losses))

    settings = {"name": "pix2pix", "adversarial": 0.0, **objective}
    run_training(configure("pix2pix", pictures, objective=settings, steps=1), out=out, callbacks=[watch])
    return terms[0]


def test_pix2pix_compares_pictures_as_coarsely_as_configured(pictures: Path, tmp_path: Path) -> None:
    every_pixel, coarse = (
        pix2pix_terms(pictures, tmp_path / str(factor), l1_reduction=factor)["l1"] for factor in (1, 8)
    )
    # Means of absolute values are never below absolute values of means.
    assert 0.0 < coarse < every_pixel


def test_pix2pix_adds_perceptual_and_style_terms_by_their_weights(pictures: Path, tmp_path: Path) -> None:
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    terms = pix2pix_terms(
        pictures, tmp_path / "run", l1=2.0, perceptual=0.5, style=30.0, features=str(tmp_path / "vgg.safetensors")
    )
    assert min(terms.values()) > 0.0
    assert terms["loss"] == pytest.approx(2.0 * terms["l1"] + 0.5 * terms["perceptual"] + 30.0 * terms["style"])


def test_pix2pix_says_what_to_do_without_a_vgg(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set it to none"):
        pix2pix_terms(pictures, tmp_path / "run", style=1.0, features=str(tmp_path / "missing.safetensors"))


def test_a_second_discriminator_of_pix2pix_scores_feature_maps_and_is_resumed(pictures: Path, tmp_path: Path) -> None:
    save_file(vgg16_weights(), tmp_path / "vgg.safetensors")
    objective = {
        "name": "pix2pix",
        "features": str(tmp_path / "vgg.safetensors"),
        "discriminator": {"width": 4, "layers": 2},
        "feature_adversarial": 0.5,
        "feature_stage": 1,
        "feature_discriminator": {"width": 4, "layers": 1},
    }
    config = configure("pix2pix", pictures, objective=objective)
    run_training(config, out=tmp_path / "whole")
    should_stop, watch = stop_after(2)
    run_training(config, out=tmp_path / "parts", callbacks=[watch], should_stop=should_stop)
    state = load_newest_state(tmp_path / "parts" / "state")
    assert state is not None
    first_layer = state.values["objective"]["feature_discriminator"]["network"]["layers.0.weight"]
    assert first_layer.shape == (4, 64, 4, 4)  # VGG's first stage has 64 channels
    run_training(config, out=tmp_path / "parts")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_judging_feature_maps_without_a_vgg_is_rejected() -> None:
    with pytest.raises(ConfigError, match="feature_adversarial"):
        parse_config({"objective": {"name": "pix2pix", "feature_adversarial": 1.0}})
