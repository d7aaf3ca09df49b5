"""The montage of exemplars: lookups against brute force, known pictures, consecutive frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage import data
from torch.nn import functional as F

from inpaint_core import CheckpointError, load_model, save_model, translate
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.description import describe_model
from inpaint_core.checkpoints.inference_form import optimize
from inpaint_core.checkpoints.prepare_settings import PrepareSettings
from inpaint_core.checkpoints.translation_model import TranslationModel
from inpaint_core.metrics import psnr
from inpaint_core.models import build_model
from inpaint_core.models.exemplar_index import BRIGHTNESS, ExemplarIndex
from inpaint_core.translation import FrameTranslator, prepare

SETTINGS = PrepareSettings(reduction=12)


def rough(count, side, seed=0):
    """Distinct pictures with shapes of all sizes."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(count, 3, side, side)
    for octave in range(1, 7):
        noise = torch.randn(count, 3, 2**octave, 2**octave, generator=generator)
        picture += F.interpolate(noise, (side, side), mode="bilinear") / octave
    return torch.sigmoid(1.5 * picture)


def model(pictures):
    side = pictures.shape[-1]
    arguments = {"pictures": len(pictures), "side": side}
    network = build_model("exemplar_montage", **arguments)
    network.set_exemplars(pictures)
    card = ModelCard(
        architecture="exemplar_montage",
        arguments=arguments,
        task="translation",
        trained_size=side,
        prepare=SETTINGS,
        name="memory",
    )
    return TranslationModel(card, network)


def test_windows_are_found_as_by_comparing_each_with_each():
    index = ExemplarIndex(rough(3, 64))
    guide = rough(1, 96, seed=5)[0, 0, ::8, ::12]  # 12 x 8 cells
    guides = index.guides.view(6, 8, 8).numpy()
    expected = set()
    for window in ExemplarIndex.windows(64):
        starts = [sorted({*range(0, side - window, window // 2), side - window}) for side in guide.shape]
        for top in starts[0]:
            for left in starts[1]:
                asked = guide[top : top + window, left : left + window].numpy()
                best = []
                for picture in range(6):
                    places = []
                    for row in range(8 - window + 1):
                        for column in range(8 - window + 1):
                            known = guides[picture, row : row + window, column : column + window]
                            form = ((asked - asked.mean()) - (known - known.mean())) ** 2
                            tone = (BRIGHTNESS * (asked.mean() - known.mean())) ** 2
                            places.append((form.mean() + tone, row - top, column - left))
                    best.append((*min(places), picture))
                for _, down, right, picture in sorted(best)[:2]:
                    expected.add((picture, down, right))
    assert {tuple(label) for label in index.look_up(guide, 2).tolist()} == expected


def test_the_shapes_of_an_exemplar_give_that_exemplar():
    photographs = [data.astronaut()[:256, 100:356], data.coffee()[100:356, 150:406], data.chelsea()[20:276, 90:346]]
    pictures = torch.from_numpy(np.stack(photographs)).permute(0, 3, 1, 2) / 255.0
    # One after the other: brightness is matched to all exemplars together.
    for number in range(3):
        made = model(pictures[number : number + 1])
        assert float(psnr(translate(made, pictures[number : number + 1]), pictures[number : number + 1])) > 28.0


def test_the_output_consists_of_exemplars():
    # Each pixel's detail is that of an exemplar, so exemplars without detail give none.
    smooth = F.interpolate(torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)), (64, 64), mode="bicubic")
    shown = rough(1, 64, seed=2)
    output = translate(model(smooth.clamp(0.0, 1.0)), shown)
    fine = [(x - F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))[..., 4:-4, 4:-4].std() for x in (output, shown)]
    assert float(fine[0]) < 0.2 * float(fine[1])


def test_flat_and_extreme_frames_stay_finite():
    made = model(rough(3, 64))
    for value in (0.0, 0.5, 1.0):
        output = made.predict(torch.full((1, 1, 70, 90), value))
        assert torch.isfinite(output).all()
        assert 0.0 <= float(output.min()) <= float(output.max()) <= 1.0
    black = model(torch.zeros(2, 3, 64, 64))
    assert torch.isfinite(black.predict(rough(1, 64)[:, :1])).all()


def test_gray_frames_and_frames_with_alpha_are_seen_like_colors():
    made = model(rough(3, 64))
    gray = rough(2, 80, seed=4)[:, :1]
    plain = translate(made, gray.expand(-1, 3, -1, -1))
    assert torch.equal(translate(made, gray), plain)
    assert torch.equal(translate(made, torch.cat([gray.expand(-1, 3, -1, -1), gray], 1)), plain)


def test_exemplars_are_saved_and_loaded_bit_for_bit(tmp_path):
    before = model(rough(3, 64))
    for half in (False, True):
        save_model(before, tmp_path / "m.safetensors", half=half)
        after = load_model(tmp_path / "m.safetensors")
        frames = rough(2, 100, seed=3)
        assert torch.equal(translate(after, frames), translate(before, frames))
    assert "3 pictures" in describe_model(after)
    assert "parameters" not in describe_model(after)


def test_exemplars_that_are_not_bytes_are_rejected(tmp_path):
    save_model(model(rough(2, 64)), tmp_path / "m.safetensors")
    from safetensors import safe_open

    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        metadata = file.metadata()
    tensors = load_file(tmp_path / "m.safetensors")
    save_file({**tensors, "luma": tensors["luma"].float()}, tmp_path / "m.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match="'luma' is stored as F32, but unsigned 8-bit integers"):
        load_model(tmp_path / "m.safetensors")


def test_exemplars_are_stored_in_the_colors_of_jpeg():
    picture = torch.from_numpy(data.astronaut()[:64, :64].copy()).permute(2, 0, 1)[None] / 255.0
    network = build_model("exemplar_montage", pictures=1, side=64)
    network.set_exemplars(picture)
    expected = np.asarray(Image.fromarray(data.astronaut()[:64, :64]).convert("YCbCr")).astype(float)
    assert np.abs(network.luma[0].numpy() - expected[..., 0]).max() <= 1
    reduced = expected[..., 1:].reshape(32, 2, 32, 2, 2).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(network.chroma[0].numpy() - reduced).max() <= 1.5
    assert float(psnr(network.pictures(), picture)) > 30.0


def test_replacing_a_picture_changes_what_it_makes_at_once():
    made = model(rough(2, 64))
    frame = rough(1, 64, seed=9)
    before = translate(made, frame)
    made.network.set_exemplars(rough(2, 64, seed=8))
    assert torch.equal(translate(made, frame), translate(model(rough(2, 64, seed=8)), frame))
    assert not torch.equal(translate(made, frame), before)


def test_the_inference_form_makes_the_same_pictures_and_continues_clips_too():
    made = model(rough(3, 64))
    frames = rough(2, 64, seed=6)
    assert torch.equal(translate(optimize(made), frames), translate(made, frames))
    assert optimize(made).network.uses_previous


def test_a_smoothed_clip_keeps_to_the_choices_of_the_previous_frame():
    made = model(rough(6, 64, seed=11))
    start, end = (prepare(rough(1, 64, seed=seed), SETTINGS) for seed in (12, 13))
    frames = torch.cat([start.lerp(end, 0.01 * step) for step in range(12)])
    loose, steady = [made.predict(frames[:1])], [made.predict(frames[:1])]
    for frame in frames[1:].split(1):
        loose.append(made.predict(frame))
        steady.append(made.predict(frame, previous=steady[-1], coherence=0.9))
    change = [float((torch.cat(row[1:]) - torch.cat(row[:-1])).abs().mean()) for row in (loose, steady)]
    assert change[1] < change[0]


def test_parts_of_a_clip_continue_each_other():
    made = model(rough(4, 64, seed=11))
    frames = torch.stack([rough(1, 64, seed=12)[0].roll(step, -1) for step in range(5)])
    whole = FrameTranslator(made, smooth_output=0.6)(frames)
    parts = FrameTranslator(made, smooth_output=0.6)
    assert torch.equal(whole, torch.cat([parts(frames[:2]), parts(frames[2:])]))
