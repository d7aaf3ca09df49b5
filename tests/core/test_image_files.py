"""Pictures on disk: every kind is read, every bad kind is rejected with one line, nothing is half-written."""

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core.files.images import decode_image, write_image
from inpaint_core.files.masks import read_mask
from inpaint_core.files.opening import ImageFileError

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (17, 31, 3), dtype=np.uint8)


def test_eight_bit_rgb_survives_a_round_trip_exactly(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    assert picture.image.shape == (3, 17, 31)
    for suffix in ("png", "webp", "tif", "bmp"):
        write_image(tmp_path / f"b.{suffix}", picture.image, like=picture)
        assert np.array_equal(np.asarray(Image.open(tmp_path / f"b.{suffix}").convert("RGB")), COLORS)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grayness_and_alpha_are_kept(tmp_path, mode):
    values = RNG.integers(0, 256, (9, 8, len(Image.new(mode, (1, 1)).getbands())), dtype=np.uint8)
    Image.fromarray(values.squeeze(), mode).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", picture.image, like=picture)
    back = Image.open(tmp_path / "b.png")
    assert back.mode == mode
    assert np.array_equal(np.asarray(back), values.squeeze())


def test_sixteen_bit_gray_is_kept(tmp_path):
    values = RNG.integers(0, 65536, (9, 8), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    assert picture.sixteen_bit
    write_image(tmp_path / "b.png", picture.image, like=picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), values)


def test_palette_transparency_becomes_alpha(tmp_path):
    palette = Image.fromarray(COLORS).quantize(8)
    palette.info["transparency"] = 0
    palette.save(tmp_path / "a.png", transparency=0)
    picture = decode_image(tmp_path / "a.png")
    assert picture.alpha is not None
    assert set(picture.alpha.unique().tolist()) == {0.0, 1.0}


def test_orientation_is_applied_and_not_applied_again(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to be upright
    Image.fromarray(COLORS).save(tmp_path / "a.png", exif=exif)
    picture = decode_image(tmp_path / "a.png")
    upright = np.rot90(COLORS, -1)
    assert np.array_equal((picture.image * 255).round().byte().permute(1, 2, 0).numpy(), upright)
    write_image(tmp_path / "b.png", picture.image, like=picture)
    assert torch.equal(decode_image(tmp_path / "b.png").image, picture.image)


def test_a_color_profile_is_kept(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png", icc_profile=b"profile bytes")
    picture = decode_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", picture.image, like=picture)
    assert Image.open(tmp_path / "b.png").info["icc_profile"] == b"profile bytes"


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "RGB"])
def test_every_color_mode_is_read_as_rgb(tmp_path, mode):
    suffix = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    Image.fromarray(COLORS).convert(mode).save(tmp_path / f"a.{suffix}")
    assert decode_image(tmp_path / f"a.{suffix}").image.shape == (3, 17, 31)


def test_a_mask_is_cut_at_half_brightness(tmp_path):
    Image.fromarray(np.array([[0, 1, 127], [128, 250, 255]], np.uint8)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").hole.tolist() == [[[[0, 0, 0], [1, 1, 1]]]]


def bad_files(folder):
    Image.fromarray(COLORS).resize((200, 200)).save(folder / "good.jpg", quality=95)
    data = (folder / "good.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("this is no picture")
    (folder / "script.ps").write_text("%!PS-Adobe-3.0\nshowpage")
    return ["truncated.jpg", "empty.png", "text.png", "script.ps", "absent.png"]


def test_every_bad_file_is_rejected_in_one_line_that_names_it(tmp_path):
    for name in bad_files(tmp_path):
        with pytest.raises(ImageFileError) as caught:
            decode_image(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_picture_with_too_many_pixels_is_rejected_and_the_message_explains_how_to_raise_the_limit(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    with pytest.raises(ImageFileError, match=r"a\.png: too many pixels: 31x17 .*--max-megapixels"):
        decode_image(tmp_path / "a.png", max_pixels=100)
    assert decode_image(tmp_path / "a.png", max_pixels=17 * 31).image.shape == (3, 17, 31)


def test_a_format_that_cannot_hold_the_picture_is_rejected_and_nothing_is_written(tmp_path):
    Image.new("RGBA", (4, 4)).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    for name, reason in [("b.jpg", "has transparency"), ("b.xyz", "cannot write .xyz"), ("b", "cannot write")]:
        with pytest.raises(ImageFileError, match=reason):
            write_image(tmp_path / name, picture.image, like=picture)
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]


def test_a_write_that_fails_half_way_keeps_the_old_file(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", torch.zeros(3, 4, 4))
    before = (tmp_path / "a.png").read_bytes()

    def fail(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space"):
        write_image(tmp_path / "a.png", torch.ones(3, 4, 4))
    assert (tmp_path / "a.png").read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["a.png"]
