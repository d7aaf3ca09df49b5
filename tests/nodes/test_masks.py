"""The mask nodes: every way of choosing, in every shape that the host sends."""

from __future__ import annotations

import pytest
import torch

from inpaint_core.masks import select_segments, slic_labels

DEFAULTS = dict(
    segments=30, compactness=10.0, all_but=False, seed=0, combine="add", picture="borders", split=False, max_side=1024
)


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


def test_points_choose_what_lies_under_them_and_leave_out_what_lies_under_the_others(nodes, host, image):
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
        (dict(select="random", at_least=0.5, at_most=0.2), "hole_ratio"),
        (dict(select="magic"), "select cannot be"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_understood_is_a_sentence(nodes, host, image, select, sentence):
    with pytest.raises(ValueError, match=sentence):
        run(nodes, image, select)


def test_a_picture_with_nan_is_a_sentence(nodes, host):
    with pytest.raises(ValueError, match="not finite"):
        run(nodes, torch.full((1, 8, 8, 3), float("nan")), dict(select="all"))


@pytest.mark.parametrize(
    "text",
    ["1.5, 2; 3, 4", "1.5 2\n3 4\n", '[{"x": 1.5, "y": 2}, {"x": 3, "y": 4}]', "[[1.5, 2], [3, 4]]", " 1.5,2 ;3,4; "],
)
def test_points_are_read_in_every_form_in_use(nodes, text):
    assert nodes.masks.parse_points(text) == [(1.5, 2.0), (3.0, 4.0)]


def test_colors_and_ranges_are_read(nodes):
    assert nodes.masks.parse_color("#ff8000") == nodes.masks.parse_color(" FF8000") == (1.0, 128 / 255, 0.0)
    assert nodes.masks.parse_color("#f80") == (1.0, 136 / 255, 0.0)
    assert nodes.masks.parse_indices("0, 4 10 - 12;7") == [0, 4, 10, 11, 12, 7]
