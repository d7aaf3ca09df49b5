"""Refine Mask, Make Seamless, and third-party models in models/inpaint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inpaint_core.__main__ import main
from inpaint_core.inpainting.classical import ClassicalFill
from inpaint_core.inpainting.seamless import make_seamless, seam, tiled

REFINE = dict(grow=0, fill_holes=False, remove_specks=0, feather=0, invert_mask=False)


def refine(nodes, mask, **changes):
    return nodes.RefineMask.execute(mask, **REFINE | changes)[0]


@pytest.fixture
def ring() -> torch.Tensor:
    """A ring of 16x16 pixels around a known island, and a speck."""
    mask = torch.zeros(1, 40, 48)
    mask[:, 10:26, 10:26] = 1.0
    mask[:, 16:20, 16:20] = 0.0
    mask[:, 35, 40] = 1.0
    return mask


def test_a_mask_is_left_as_it_is_when_nothing_is_asked(nodes, host, ring):
    soft = ring * 0.3
    for mask in (ring, soft, ring[0], ring[:, None]):
        assert torch.equal(refine(nodes, mask), mask.reshape(1, 40, 48))


def test_each_setting_does_what_it_says(nodes, host, ring):
    assert refine(nodes, ring, fill_holes=True).sum() == 16 * 16 + 1
    assert refine(nodes, ring, remove_specks=2).sum() == 16 * 16 - 16
    assert torch.equal(refine(nodes, ring, invert_mask=True), 1.0 - ring)
    grown = refine(nodes, ring, grow=3)
    ys, xs = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
    distance = ((torch.stack([ys, xs], -1)[:, :, None] - torch.nonzero(ring[0])) ** 2).sum(-1).amin(-1)
    assert torch.equal(grown[0], (distance <= 9).float())
    assert torch.equal(refine(nodes, grown, grow=-3, fill_holes=False) * ring, refine(nodes, grown, grow=-3) * ring)
    feathered = refine(nodes, ring, feather=4)
    assert torch.equal(feathered[ring == 1], ring[ring == 1])
    assert 0.0 < feathered[0, 18, 28] < 1.0


def test_an_empty_result_is_reported(nodes, host, said, ring):
    refine(nodes, ring, remove_specks=1000)
    assert said == ["Nothing is left of the mask: remove fewer specks, or grow it."]


def stripes() -> torch.Tensor:
    """Increasingly bright to the right, so that its left and right edges do not match."""
    ramp = torch.linspace(0.2, 0.8, 64).expand(1, 3, 48, 64)
    return (ramp + 0.05 * torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))).contiguous()


@pytest.mark.parametrize(("axes", "dims"), [("both", (2, 3)), ("horizontal", (3,)), ("vertical", (2,))])
def test_the_seam_is_filled_and_the_middle_stays_bit_for_bit(axes, dims):
    image = stripes()
    result = make_seamless(ClassicalFill("telea"), image, axes, margin=0.1)
    kept = torch.ones(48, 64, dtype=torch.bool)
    for dim in dims:
        side = image.shape[dim]
        reach = round(0.1 * side)
        kept.narrow(dim - 2, 0, reach).fill_(False)
        kept.narrow(dim - 2, side - reach, reach).fill_(False)
    assert torch.equal(result[:, :, kept], image[:, :, kept])
    assert not torch.equal(result, image)


def test_opposite_edges_meet():
    def step(picture):
        return float((picture[..., 0] - picture[..., -1]).abs().mean())

    image = stripes()
    assert step(image) > 0.5
    assert step(make_seamless(ClassicalFill("telea"), image, "horizontal", 0.2)) < 0.1


def test_odd_and_tiny_pictures_keep_their_size():
    for size in ((1, 1), (2, 3), (7, 31)):
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
        assert make_seamless(ClassicalFill("telea"), image).shape == image.shape
        assert seam(image, "both", 0.08).any()


def test_the_node_gives_the_texture_and_a_tiled_one(nodes, host):
    image = stripes().movedim(1, -1)
    texture, repeated = nodes.MakeSeamless.execute(image, "both", 0.1, 0).args
    assert texture.shape == image.shape
    assert torch.equal(repeated, tiled(texture.movedim(-1, 1)).movedim(1, -1))
    assert torch.equal(repeated[:, 48:, 64:], texture)


@pytest.mark.parametrize(("axes", "margin", "said"), [("diagonal", 0.1, "axes are"), ("both", 0.3, "margin is 0.3")])
def test_what_cannot_be_done_is_a_one_line_error(axes, margin, said):
    with pytest.raises(ValueError, match=said):
        make_seamless(ClassicalFill("telea"), stripes(), axes, margin)


@pytest.fixture
def others(host) -> Path:
    import folder_paths

    folder = Path(folder_paths.models_dir, "inpaint")
    folder.mkdir(parents=True)
    return folder


LAMA = {"generator.model.1.ffc.convl2l.weight": torch.arange(4.0).view(1, 1, 2, 2)}


def test_models_of_others_are_listed_and_programs_are_named_with_the_way_to_convert_them(nodes, host, others):
    save_file(LAMA, others / "lama.safetensors")
    torch.save(LAMA, others / "big-lama.pt")
    (others / "notes.txt").write_text("no model")
    assert host.model_names()[-2:] == ["inpaint/big-lama.pt", "inpaint/lama.safetensors"]
    with pytest.raises(
        ValueError,
        match=r"^inpaint/big-lama\.pt can execute code .* python -m inpaint_core convert big-lama\.pt --out "
        r"big-lama\.safetensors, and select the result$",
    ):
        nodes.LoadModel.execute("inpaint/big-lama.pt")


def test_the_command_that_is_named_writes_such_a_file(others, capsys):
    torch.save(LAMA, others / "big-lama.pt")
    out = others / "big-lama.safetensors"
    assert main(["convert", str(others / "big-lama.pt"), "--out", str(out)]) == 0
    assert "LaMa" in capsys.readouterr().out
    written = load_file(out)
    assert written.keys() == LAMA.keys()
    assert all(torch.equal(written[key], LAMA[key]) for key in LAMA)
