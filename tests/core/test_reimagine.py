"""reimagine(): every chosen part is replaced once, nothing protected changes, a seed repeats it."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from inpaint_core import save_model
from inpaint_core.__main__ import main
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.files.images import decode_image
from inpaint_core.inpainting.reimagine import PARTS, reimagine
from inpaint_core.models import build_model


@pytest.fixture(scope="module")
def model():
    arguments = {"width": 4, "depth": 3}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=64, name="tiny")
    return InpaintingModel(card, build_model("unet", **arguments))


def photograph(height=150, width=200):
    values = data.astronaut()[:height, :width].astype(np.float32) / 255.0
    return torch.from_numpy(values).permute(2, 0, 1)[None]


@pytest.mark.parametrize("parts", PARTS)
def test_full_strength_changes_every_free_pixel_and_no_protected_one(model, parts):
    image = photograph()
    protect = torch.zeros(1, 1, 150, 200)
    protect[..., 30:90, 50:120] = 1
    output = reimagine(model, image, protect=protect, parts=parts)
    changed = (output != image).any(1)[0]
    assert torch.equal(changed, protect[0, 0] == 0)


@pytest.mark.parametrize("parts", PARTS)
def test_the_same_seed_gives_the_same_picture_and_another_one_another(model, parts):
    image = photograph()
    state = torch.get_rng_state()
    one, again, other = (reimagine(model, image, 0.5, 3, seed, parts=parts) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("strength", [0.0, 0.25, 0.6, 1.0])
def test_strength_is_the_fraction_that_is_replaced(model, strength):
    image = photograph()
    output = reimagine(model, image, strength, 2, parts="cells", part_count=300)
    share = float((output != image).any(1).float().mean())
    assert share == pytest.approx(strength, abs=0.05)


def test_every_chosen_part_is_emptied_exactly_once_and_filled_from_what_is_left():
    holes = []

    class Note:
        def complete(self, image, mask):
            holes.append(mask.clone())
            return torch.full_like(image, 0.5)

    image = photograph(60, 60)  # one window, so that the model sees the whole frame
    reimagine(Note(), image, 1.0, 5)
    assert len(holes) == 5
    assert torch.equal(sum(holes), torch.ones(1, 1, 60, 60))


def test_each_picture_of_a_batch_is_treated_as_if_alone(model):
    images = torch.cat([photograph(60, 80), photograph(60, 80).flip(3)])
    together = reimagine(model, images, 0.7, 2, seed=3)
    for index in range(2):
        assert torch.equal(together[index : index + 1], reimagine(model, images[index : index + 1], 0.7, 2, seed=3))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (40, 31)])
def test_any_kind_and_size_of_picture(model, channels, size):
    image = torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0))
    output = reimagine(model, image, rounds=2)
    assert output.shape == image.shape
    assert torch.isfinite(output).all()
    if channels == 4:
        assert torch.equal(output[:, 3], image[:, 3])


def test_progress_shows_every_round_and_can_end_the_work(model):
    image = photograph()
    rounds = {}  # the first call with a count is the one at the end of that round

    def note(done, total, now):
        assert total == 4
        rounds.setdefault(done, now.clone())

    output = reimagine(model, image, rounds=4, progress=note)
    assert sorted(rounds) == [0, 1, 2, 3, 4]
    assert torch.equal(rounds[4], output[0])
    assert not torch.equal(rounds[3], output[0])

    class CancelledError(BaseException):
        pass

    def cancel(done, total, picture):
        raise CancelledError

    with pytest.raises(CancelledError):
        reimagine(model, image, progress=cancel)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strength": 1.5}, "strength is 1.5"),
        ({"rounds": 0}, "rounds is 0"),
        ({"parts": "bits"}, "unknown kind of parts 'bits'"),
        ({"part_count": 0}, "part_count is 0"),
        ({"image": torch.zeros(3, 8, 8)}, "expected \\[B,C,H,W\\]"),
        ({"image": torch.zeros(2, 3, 8, 8), "protect": torch.zeros(3, 8, 8)}, "2 images and 3 masks"),
    ],
)
def test_bad_arguments_are_rejected_with_one_line(model, options, expected):
    with pytest.raises(ValueError, match=expected):
        reimagine(model, **{"image": torch.zeros(1, 3, 8, 8), **options})


def test_the_command_writes_the_picture_and_a_strip_of_rounds(model, tmp_path):
    save_model(model, tmp_path / "model.safetensors")
    Image.fromarray(data.astronaut()[:100, :120]).save(tmp_path / "a.png")
    mask = np.zeros((100, 120), np.uint8)
    mask[20:50, 30:60] = 255
    Image.fromarray(mask).save(tmp_path / "protect.png")
    files = {"--model": "model.safetensors", "--image": "a.png", "--protect": "protect.png", "--out": "b.png"}
    arguments = [str(item) for key, name in files.items() for item in (key, tmp_path / name)]
    assert main(["reimagine", *arguments, "--rounds", "3", "--strip"]) == 0
    before, after = decode_image(tmp_path / "a.png").image, decode_image(tmp_path / "b.png").image
    assert torch.equal(before[:, 20:50, 30:60], after[:, 20:50, 30:60])
    assert (before != after).any(0).float().mean() > 0.85
    assert decode_image(tmp_path / "b.strip.png").image.shape == (3, 100, 4 * 120)
