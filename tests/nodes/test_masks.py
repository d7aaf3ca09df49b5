"""The mask nodes: every way of selecting, in every shape sent by the host."""

from __future__ import annotations

import pytest
import torch

from inpaint_core.masks import select_segments, slic_labels

from .conftest import SLIC_DEFAULTS

DEFAULTS = SLIC_DEFAULTS | {"segments": 30}


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """Four quarters of different colors and brightness, with some texture."""
    quarters = torch.tensor([[[0.9, 0.1, 0.1], [0.1, 0.8, 0.1]], [[0.1, 0.1, 0.6], [1.0, 1.0, 1.0]]])
    picture = quarters.repeat_interleave(32, 0).repeat_interleave(40, 1)
    noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(0))
    return (0.95 * picture + 0.05 * noise)[None]


def run(nodes, image, select, mask=None, **changes):
    return nodes.MaskFromSLIC.execute(image, select=select, mask=mask, **DEFAULTS | changes).args


def quarter(name: str) -> torch.Tensor:
    mask = torch.zeros(64, 80)
    rows, columns = {"red": (0, 0), "green": (0, 1), "blue": (1, 0), "white": (1, 1)}[name]
    mask[32 * rows : 32 * rows + 32, 40 * columns : 40 * columns + 40] = 1
    return mask


@pytest.mark.parametrize(
    ("select", "wanted"),
    [
        (dict(select="color", color="#f01a1a", tolerance=25.0), "red"),
        (dict(select="brightness", at_least=0.95, at_most=1.0), "white"),
        (dict(select="box", x=0, y=32, width=40, height=32, inside=0.5), "blue"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_quarter_is_found_by_color_brightness_and_box(nodes, host, image, select, wanted):
    mask, picture, count = run(nodes, image, select)
    assert mask.shape == (1, 64, 80)
    assert (mask[0] - quarter(wanted)).abs().mean() < 0.03
    assert picture.shape == image.shape
    assert count == slic_labels(image[0].movedim(-1, 0), 30).max() + 1


def test_points_select_what_is_under_them_and_negative_points_exclude_it(nodes, host, image):
    labels = slic_labels(image[0].movedim(-1, 0), 30)
    at = dict(select="points", points='[{"x": 5, "y": 6}, {"x": 60, "y": 50}]', not_points="60, 50")
    mask = run(nodes, image, at)[0]
    assert torch.equal(mask[0], (labels == labels[6, 5]).float())


@pytest.mark.parametrize(
    ("select", "keyword"),
    [
        (dict(select="largest", count=2), dict(largest=2)),
        (dict(select="smallest", count=3), dict(smallest=3)),
        (dict(select="border", touching=True), dict(touching_border=True)),
        (dict(select="border", touching=False), dict(touching_border=False)),
        (dict(select="index", numbers="0, 3-5"), dict(indices=[0, 3, 4, 5])),
        (dict(select="size", at_least=0.03, at_most=0.1), dict(area=(0.03, 0.1))),
        (dict(select="random", at_least=0.2, at_most=0.4), dict(hole_ratio=(0.2, 0.4), seed=7)),
        (dict(select="all"), dict()),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_node_chooses_as_the_core_does(nodes, host, image, select, keyword):
    labels = slic_labels(image.movedim(-1, 1), 30)
    for all_but in (False, True):
        expected = select_segments(labels, **keyword, all_but=all_but)[:, 0]
        assert torch.equal(run(nodes, image, select, seed=7, all_but=all_but)[0], expected)


def test_a_random_choice_meets_its_share_and_follows_the_seed(nodes, host, image):
    select = dict(select="random", at_least=0.2, at_most=0.4)
    first, again, other = (run(nodes, image, select, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert 0.2 < first.mean() <= 0.4


def test_every_selection_on_the_node_is_understood(nodes, host, image):
    schema = nodes.MaskFromSLIC.define_schema()
    (select,) = [item for item in schema.inputs if item.id == "select"]
    for option in select.options["options"]:
        settings = {name: value[1]["default"] for name, value in option["inputs"]["required"].items()}
        mask = run(nodes, image, {"select": option["key"]} | settings)[0]
        assert set(mask.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("combine", ["add", "subtract", "intersect"])
def test_a_connected_mask_of_any_size_is_combined(nodes, host, image, combine):
    select = dict(select="color", color="#f01a1a", tolerance=25.0)
    chosen = run(nodes, image, select)[0][0]
    incoming = quarter("red") + quarter("green")
    expected = {
        "add": torch.maximum(incoming, chosen),
        "subtract": incoming * (1 - chosen),
        "intersect": incoming * chosen,
    }[combine]
    assert torch.equal(run(nodes, image, select, mask=incoming, combine=combine)[0][0], expected)
    larger = incoming.repeat_interleave(3, 0).repeat_interleave(3, 1)[None, None]
    assert torch.equal(run(nodes, image, select, mask=larger, combine=combine)[0][0], expected)


def test_split_gives_one_mask_for_every_chosen_superpixel(nodes, host, image):
    together = run(nodes, image, dict(select="largest", count=4))[0]
    apart = run(nodes, image, dict(select="largest", count=4), split=True)[0]
    assert apart.shape == (4, 64, 80)
    assert torch.equal(apart.sum(0), together[0])
    with pytest.raises(ValueError, match="one picture at a time"):
        run(nodes, image.expand(2, -1, -1, -1), dict(select="all"), split=True)


@pytest.mark.parametrize("picture", ["borders", "mean colors", "numbers as colors"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gray_and_transparent_batches_give_masks_and_pictures(nodes, host, image, picture, channels):
    pictures = torch.cat([image, image[..., :1]], -1)[..., :channels].expand(2, -1, -1, -1)
    mask, shown, _ = run(nodes, pictures, dict(select="random", at_least=0.1, at_most=0.5), picture=picture)
    assert mask.shape == (2, 64, 80)
    assert shown.shape == (2, 64, 80, 3)
    assert shown.is_contiguous()
    assert 0.0 <= shown.min() <= shown.max() <= 1.0


def test_a_picture_of_one_pixel_and_one_of_one_color_divide(nodes, host):
    assert run(nodes, torch.zeros(1, 1, 1, 3), dict(select="all"))[0].tolist() == [[[1.0]]]
    assert run(nodes, torch.ones(1, 40, 40, 3), dict(select="largest", count=1))[0].any()


@pytest.mark.parametrize(
    ("select", "sentence"),
    [
        (dict(select="points", points="5", not_points=""), "not a point"),
        (dict(select="points", points="[[1, 2", not_points=""), "not JSON"),
        (dict(select="points", points='[{"x": NaN, "y": 2}]', not_points=""), "not a point in a picture"),
        (dict(select="points", points='{"points": [1, 2]}', not_points=""), "not a point"),
        (dict(select="points", points="1,2;" * 10001, not_points=""), "too many"),
        (dict(select="color", color="reddish", tolerance=1.0), "not a color"),
        (dict(select="index", numbers="all"), "not a number or a range"),
        (dict(select="index", numbers="0-9999999"), "not a number or a range"),
        (dict(select="random", at_least=0.5, at_most=0.2), "at_least is 0.5 and at_most is 0.2"),
        (dict(select="magic"), "select cannot be"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_invalid_text_is_rejected_with_one_line(nodes, host, image, select, sentence):
    with pytest.raises(ValueError, match=sentence):
        run(nodes, image, select)


def test_a_picture_with_nan_is_a_one_line_error(nodes, host):
    with pytest.raises(ValueError, match="not finite"):
        run(nodes, torch.full((1, 8, 8, 3), float("nan")), dict(select="all"))


@pytest.mark.parametrize(
    "text",
    ["1.5, 2; 3, 4", "1.5 2\n3 4\n", '[{"x": 1.5, "y": 2}, {"x": 3, "y": 4}]', "[[1.5, 2], [3, 4]]", " 1.5,2 ;3,4; "],
)
def test_points_are_read_in_every_form_in_use(nodes, text):
    assert nodes.places.parse_points(text) == [(1.5, 2.0), (3.0, 4.0)]


def test_colors_and_ranges_are_read(nodes):
    assert nodes.places.parse_color("#ff8000") == nodes.places.parse_color(" FF8000") == (1.0, 128 / 255, 0.0)
    assert nodes.places.parse_color("#f80") == (1.0, 136 / 255, 0.0)
    assert nodes.places.parse_indices("0, 4 10 - 12;7") == [0, 4, 10, 11, 12, 7]


def test_numbers_of_any_length_and_any_blanks_are_a_one_line_error_at_once(nodes):
    import time

    began = time.process_time()
    for text in (f"[[{'9' * 400}, 1]]", f"[[{'9' * 5000}, 1]]", f'{{"x": {"9" * 400}, "y": 1}}', f"{'9' * 400}, 1"):
        with pytest.raises(ValueError, match="point"):
            nodes.places.parse_points(text)
    assert nodes.places.parse_indices("1" + " " * 60_000 + "2") == [1, 2]
    assert nodes.places.parse_indices("1 " + "- " + " " * 60_000 + "3") == [1, 2, 3]
    with pytest.raises(ValueError, match="number"):
        nodes.places.parse_indices("-" * 60_000)
    assert time.process_time() - began < 1.0


def test_labels_of_a_clip_are_stable_and_the_selection_is_the_first_frames(nodes, host, image):
    frames = torch.cat([image, image.roll(2, dims=2)])
    labels = slic_labels(frames.movedim(-1, 1), 30, stable=True)
    mask = run(nodes, frames, dict(select="largest", count=3), clip=True)[0]
    assert torch.equal(mask, select_segments(labels, largest=3, frame=0)[:, 0])


SNAP = dict(segments=30, compactness=10.0, overlap=0.5, max_side=1024, refine=False, invert_mask=False)


def test_a_rough_mask_snaps_to_visible_superpixels(nodes, host, image):
    rough = torch.zeros(1, 64, 80)
    rough[:, 3:30, 2:44] = 1
    mask, picture = nodes.SnapMaskToSLIC.execute(image, rough, **SNAP).args
    assert (mask[0] - quarter("red")).abs().mean() < 0.03
    assert picture.shape == image.shape
    inverted = nodes.SnapMaskToSLIC.execute(image, 1 - rough, **SNAP | dict(invert_mask=True))[0]
    assert torch.equal(inverted, mask)


@pytest.mark.parametrize("shape", [(64, 64), (1, 32, 40), (2, 64, 80), (2, 1, 64, 80), (1, 128, 160, 1)])
def test_rough_masks_of_every_rank_and_size_are_accepted(nodes, host, image, shape):
    mask = nodes.SnapMaskToSLIC.execute(image, torch.ones(shape), **SNAP)[0]
    assert mask.shape == (shape[0] if len(shape) > 2 else 1, 64, 80)
    assert mask.all()


def test_the_hosts_placeholder_mask_snaps_to_nothing(nodes, host, image):
    assert not nodes.SnapMaskToSLIC.execute(image, torch.zeros(1, 64, 64), **SNAP)[0].any()


RANDOM = dict(
    at_least=0.1, at_most=0.3, seed=0, width=96, height=64, count=2, margin=0.0, dilate=0.0, rotate=0.0, image=None
)


def all_families(nodes, host):
    """Every family with the node's default settings."""
    (generator,) = [item for item in nodes.RandomMask.define_schema().inputs if item.id == "generator"]
    for option in generator.options["options"]:
        settings = {
            name: value[1].get("default", (value[1].get("options") or [None])[0])
            for name, value in option["inputs"]["required"].items()
        }
        yield {"generator": option["key"]} | settings


def test_the_node_offers_every_family_of_the_core(nodes, host):
    from inpaint_core.masks import GENERATORS

    assert {family["generator"] for family in all_families(nodes, host)} == set(GENERATORS)


def test_every_family_covers_what_is_asked_with_two_values_and_follows_the_seed(nodes, host, image):
    for family in all_families(nodes, host):
        if family["generator"] == "folder":
            continue
        settings = RANDOM | dict(image=image)
        first = nodes.RandomMask.execute(family, **settings)[0]
        assert first.shape == (2, 64, 80), family
        assert set(first.unique().tolist()) == {0.0, 1.0}, family
        assert all(0.1 < mask.mean() <= 0.3 for mask in first), family
        assert not torch.equal(first[0], first[1]), family
        assert torch.equal(nodes.RandomMask.execute(family, **settings)[0], first)
        assert not torch.equal(nodes.RandomMask.execute(family, **settings | dict(seed=1))[0], first)


def test_masks_of_a_folder_are_used_and_other_folders_rejected(nodes, host):
    from inpaint_core.files.images import write_image

    folder = host.allowed_roots()["input"] / "masks"
    folder.mkdir()
    write_image(folder / "left.png", torch.cat([torch.ones(3, 32, 16), torch.zeros(3, 32, 16)], 2))
    family = dict(generator="folder", folder="input/masks", hole_is_white=True)
    mask = nodes.RandomMask.execute(family, **RANDOM | dict(at_most=0.0, count=1))[0]
    assert mask.shape == (1, 64, 96)
    assert torch.equal(mask[0, :, :47], torch.ones(64, 47))
    assert not mask[0, :, 49:].any()
    with pytest.raises(ValueError, match="not allowed"):
        nodes.RandomMask.execute(family | dict(folder="/etc"), **RANDOM)


def test_without_an_image_the_size_is_the_nodes_and_several_images_get_one_mask_each(nodes, host, image):
    family = dict(generator="strokes", brush="thin")
    assert nodes.RandomMask.execute(family, **RANDOM | dict(count=3))[0].shape == (3, 64, 96)
    assert nodes.RandomMask.execute(family, **RANDOM | dict(image=image.expand(4, -1, -1, -1)))[0].shape == (4, 64, 80)


def test_holes_keep_away_from_the_edge(nodes, host):
    mask = nodes.RandomMask.execute(dict(generator="rectangles", most=3), **RANDOM | dict(margin=0.1))[0]
    inner = torch.zeros(64, 96)
    inner[7:-7, 7:-7] = 1
    assert mask.any()
    assert not (mask * (1 - inner)).any()


@pytest.mark.parametrize(
    ("sides", "expected"),
    [("all", (1, 1, 1, 1)), ("left and right", (0, 0, 1, 1)), ("top and bottom", (1, 1, 0, 0)), ("left", (0, 0, 1, 0))],
)
def test_outpainting_uses_the_sides_that_are_chosen(nodes, host, sides, expected):
    mask = nodes.RandomMask.execute(dict(generator="border", sides=sides), **RANDOM | dict(at_most=0.0))[0][0]
    middles = (mask[0, 48], mask[-1, 48], mask[32, 0], mask[32, -1])
    assert tuple(int(value) for value in middles) == expected


@pytest.mark.parametrize(
    ("family", "changes", "sentence"),
    [
        (dict(generator="slic", segments=10), {}, "pass image"),
        (
            dict(generator="strokes", brush="thin"),
            dict(at_least=0.5, at_most=0.2),
            "at_least is 0.5 and at_most is 0.2",
        ),
        (dict(generator="magic"), {}, "unknown mask"),
        (dict(generator="strokes", brush="thin"), dict(width=16384, height=16384, count=5), "too many"),
    ],
)
def test_impossible_requests_are_rejected_with_one_line(nodes, host, family, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        nodes.RandomMask.execute(family, **RANDOM | changes)


def test_drawing_many_masks_can_be_cancelled(nodes, host):
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        nodes.RandomMask.execute(dict(generator="strokes", brush="thin"), **RANDOM)


def test_a_family_added_to_the_core_is_on_the_node_with_its_controls(nodes, host, monkeypatch):
    from dataclasses import replace

    from inpaint_core.masks import GENERATORS, generate
    from inpaint_core.masks.generators.controls import Control

    before = [family["generator"] for family in all_families(nodes, host)]
    known = GENERATORS["random_walk"]
    controls = (Control("grid", name="cells"), Control("crop", step=0.05))
    monkeypatch.setitem(GENERATORS, "paths", replace(known, name="paths", controls=controls))
    assert [family["generator"] for family in all_families(nodes, host)] == [*before, "paths"]
    (generator,) = [item for item in nodes.RandomMask.define_schema().inputs if item.id == "generator"]
    cells, crop = generator.options["options"][-1]["inputs"]["required"].values()
    assert cells[0] == "INT"
    assert {key: cells[1][key] for key in ("min", "max", "default")} == {"min": 2, "max": 4096, "default": 64}
    assert cells[1]["tooltip"] == known.options.model_fields["grid"].description
    assert crop[0] == "FLOAT"
    assert crop[1]["step"] == 0.05
    drawn = nodes.RandomMask.execute(dict(generator="paths", cells=8), **RANDOM)[0]
    expected = [generate("random_walk", (64, 96), (0.1, 0.3), seed=[0, index], grid=8)[0, 0] for index in range(2)]
    assert torch.equal(drawn, torch.stack(expected))


def test_a_control_that_the_family_does_not_have_is_rejected(nodes, host):
    with pytest.raises(ValueError, match="no control bristles"):
        nodes.RandomMask.execute(dict(generator="strokes", bristles=3), **RANDOM)
