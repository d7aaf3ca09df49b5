"""Values of every kind are preserved exactly outside the hole, or the file is rejected."""

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, TiffImagePlugin

from inpaint_core.__main__ import main
from inpaint_core.files.images import check_writable, decode_image, write_image
from inpaint_core.files.opening import ImageFileError
from inpaint_core.inpainting.classical import ClassicalFill

RNG = np.random.default_rng(0)
SIZE = (24, 33)
HOLE = np.zeros(SIZE, bool)
HOLE[8:15, 10:20] = True


def inpaint(folder, source, target, *more, model="smooth"):
    Image.fromarray(HOLE).save(folder / "mask.png")
    files = ["--image", str(folder / source), "--mask", str(folder / "mask.png"), "--out", str(folder / target)]
    return main(["inpaint", "--model", model, *files, *more])


VALUES = {
    "int32": RNG.integers(-2000, 2000, SIZE).astype(np.int32),
    "int16": RNG.integers(-2000, 2000, SIZE).astype(np.int16),
    "uint32": RNG.integers(0, 2**32, SIZE).astype(np.uint32),
    "int8": RNG.integers(-128, 128, SIZE).astype(np.int8),
    "int64": RNG.integers(-(2**52), 2**52, SIZE).astype(np.int64),
    "uint64": RNG.integers(0, 2**52, SIZE).astype(np.uint64) * 1000 + 1,
    "float of 8 bits": RNG.integers(0, 256, SIZE).astype(np.float32),
    "unit float": RNG.random(SIZE).astype(np.float32),
    "large float": (RNG.random(SIZE) * 1e6 - 3e5).astype(np.float32),
    "double": RNG.random(SIZE) * 10,
    "half": RNG.random(SIZE).astype(np.float16),
    "float colors": RNG.random((*SIZE, 3)).astype(np.float32),
    "12 bits": RNG.integers(0, 4096, SIZE).astype(np.uint16),
    "12 bits of color": RNG.integers(0, 4096, (*SIZE, 3)).astype(np.uint16),
    "16 bits of color": RNG.integers(0, 65536, (*SIZE, 3)).astype(np.uint16),
}


@pytest.mark.parametrize("kind", VALUES)
def test_known_values_of_a_tiff_are_written_exactly_and_the_hole_is_filled(tmp_path, kind):
    values = VALUES[kind]
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if values.ndim == 3 else "minisblack")
    assert inpaint(tmp_path, "a.tif", "b.tif") == 0
    after = tifffile.imread(tmp_path / "b.tif")
    assert after.dtype == values.dtype
    assert np.array_equal(after[~HOLE], values[~HOLE])
    assert (after[HOLE] != values[HOLE]).mean() > 0.9
    assert values.min() <= after.min()
    assert after.max() <= values.max()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_numbers_are_read(tmp_path, compression):
    Image.fromarray(VALUES["large float"]).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(decode_image(tmp_path / "a.tif").values.values[..., 0], VALUES["large float"])


def test_values_that_only_a_tiff_can_hold_are_rejected_elsewhere_before_any_work(tmp_path, capsys):
    Image.fromarray(VALUES["int32"]).save(tmp_path / "a.tif")
    assert inpaint(tmp_path, "a.tif", "b.png") == 2
    assert "int32" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists()
    with pytest.raises(ImageFileError, match=r"use \.tif"):
        check_writable(tmp_path / "b.png", decode_image(tmp_path / "a.tif"))


def test_twelve_bits_in_sixteen_are_read_as_a_bright_picture_and_stay_twelve_bits(tmp_path):
    Image.fromarray(VALUES["12 bits"]).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    assert picture.image.max() > 0.99
    assert "4095" in " ".join(picture.notes)
    assert inpaint(tmp_path, "a.png", "b.png") == 0
    after = np.asarray(Image.open(tmp_path / "b.png"))
    assert np.array_equal(after[~HOLE], VALUES["12 bits"][~HOLE])
    assert after.max() <= 4095


def test_values_that_are_not_finite_or_no_data_are_kept_and_never_used_for_a_fill(tmp_path):
    values = np.full(SIZE, 100.0, np.float32)
    values[:, :9] = np.nan
    values[:8] = -9999.0
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(42113, 2, 6, "-9999", True)])
    assert inpaint(tmp_path, "a.tif", "b.tif") == 0
    after = tifffile.imread(tmp_path / "b.tif")
    assert np.array_equal(after[~HOLE], values[~HOLE], equal_nan=True)
    assert np.abs(after[HOLE] - 100.0).max() < 0.01


@pytest.mark.parametrize("method", ["telea", "navier-stokes"])
def test_opencv_works_in_sixteen_bits_if_the_picture_has_them(method):
    y, x = np.mgrid[0:48, 0:64]
    deep = (20000 + 37 * x + 53 * y).astype(np.uint16)
    mask = np.zeros((48, 64), np.uint8)
    mask[16:30, 20:40] = 1
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    expected = cv2.inpaint(deep, mask, 5, flag)
    image = torch.from_numpy(deep / 65535.0).float().expand(1, 3, -1, -1)
    filled = ClassicalFill(method).complete(image, torch.from_numpy(mask)[None, None].float())
    assert np.abs(filled[0, 0].numpy() * 65535.0 - expected).max() < 0.1


def test_gray_pictures_stay_gray(tmp_path):
    gray = RNG.integers(0, 256, SIZE, dtype=np.uint8)
    Image.fromarray(gray).save(tmp_path / "a.png")
    assert inpaint(tmp_path, "a.png", "b.png", model="unet-natural") == 0
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture)[~HOLE], gray[~HOLE])


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_the_resolution_is_kept(tmp_path, suffix):
    Image.fromarray(RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(tmp_path / f"a.{suffix}", dpi=(300, 300))
    assert inpaint(tmp_path, f"a.{suffix}", f"b.{suffix}") == 0
    with Image.open(tmp_path / f"b.{suffix}") as picture:
        assert float(picture.info["dpi"][0]) == pytest.approx(300, abs=0.1)


@pytest.mark.parametrize("deep", [False, True])
def test_georeferencing_is_kept_in_a_tiff_and_its_loss_reported_elsewhere(tmp_path, deep):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    geo = {33550: (12, (10.0, 10.0, 0.0)), 33922: (12, (0.0, 0.0, 0.0, 5e5, 4.6e6, 0.0)), 34735: (3, (1, 1, 0, 0))}
    for tag, (kind, value) in geo.items():
        tags.tagtype[tag] = kind
        tags[tag] = value
    values = RNG.integers(0, 60000, SIZE).astype(np.uint16) if deep else RNG.integers(0, 256, SIZE).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo=tags)
    assert inpaint(tmp_path, "a.tif", "b.tif") == 0
    with Image.open(tmp_path / "b.tif") as after:
        for tag, (_, value) in geo.items():
            assert tuple(after.tag_v2[tag]) == value
    picture = decode_image(tmp_path / "a.tif")
    assert "georeferencing" in " ".join(write_image(tmp_path / "b.png", picture.image, like=picture))


def test_colors_that_would_be_converted_are_rejected_by_name(tmp_path):
    Image.new("LAB", (9, 9)).save(tmp_path / "lab.tif")
    alpha = np.full((9, 9, 4), 128, np.uint8)
    tifffile.imwrite(tmp_path / "premultiplied.tif", alpha, photometric="rgb", extrasamples=["assocalpha"])
    tifffile.imwrite(tmp_path / "bands.tif", np.zeros((9, 9, 5), np.uint8), photometric="rgb", planarconfig="contig")
    for name, reason in (("lab", "CIELAB"), ("premultiplied", "straight alpha"), ("bands", "5 channels")):
        with pytest.raises(ImageFileError, match=f"{name}.tif: .*{reason}"):
            decode_image(tmp_path / f"{name}.tif")


def test_complex_numbers_are_rejected_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "c.tif", np.ones((8, 9), np.complex64))
    with pytest.raises(ImageFileError, match=r"c\.tif: its values are complex"):
        decode_image(tmp_path / "c.tif")


EIGHT_BITS = RNG.integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.bmp", "a.ppm", "a.pgm", "a.gif"])
def test_pictures_of_eight_bits_are_read_as_they_are(tmp_path, name):
    gray, palette = name.endswith("pgm"), name.endswith("gif")
    picture = Image.fromarray(EIGHT_BITS[..., 0] if gray else EIGHT_BITS)
    picture = picture.quantize(200) if palette else picture
    picture.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    read = decode_image(tmp_path / name)
    assert np.array_equal((read.image * 255).round().permute(1, 2, 0).numpy(), np.asarray(picture.convert("RGB")))
    assert read.gray == gray


def sixteen_bits(folder, name):
    shape = {"gray": (), "color": (3,), "gray and alpha": (2,), "color and alpha": (4,)}[name.rsplit(" ", 1)[0]]
    suffix = name.rsplit(" ", 1)[1]
    values = RNG.integers(1, 65536, (*SIZE, *shape)).astype(np.uint16)
    path = folder / f"a{suffix}"
    if suffix == ".tif":
        extra = ["unassalpha"] if "alpha" in name else None
        tifffile.imwrite(path, values, photometric="rgb" if "color" in name else "minisblack", extrasamples=extra)
    elif suffix == ".pgm":
        path.write_bytes(b"P5 %d %d 65535\n" % (SIZE[1], SIZE[0]) + values.astype(">u2").tobytes())
    elif values.ndim == 3:
        cv2.imwrite(str(path), values[..., [2, 1, 0, 3][: values.shape[2]]])
    else:
        cv2.imwrite(str(path), values)
    return path, values


@pytest.mark.parametrize(
    "name",
    [
        *("gray .png", "color .png", "color and alpha .png"),
        *("gray .tif", "color .tif", "gray and alpha .tif", "color and alpha .tif", "gray .pgm", "color .ppm"),
    ],
)
def test_sixteen_bits_of_every_kind_are_kept_exactly_outside_the_hole(tmp_path, name):
    path, values = sixteen_bits(tmp_path, name)
    target = "b.tif" if path.suffix == ".tif" else "b.png"
    assert inpaint(tmp_path, path.name, target) == 0
    if target == "b.tif":
        after = tifffile.imread(tmp_path / target)
    else:
        after = cv2.imread(str(tmp_path / target), cv2.IMREAD_UNCHANGED)
        after = after[..., [2, 1, 0, 3][: after.shape[2]]] if after.ndim == 3 else after
    assert after.dtype == np.uint16
    assert np.array_equal(after[~HOLE], values[~HOLE])
    assert (after[HOLE] != values[HOLE]).any()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp"])
def test_sixteen_bits_that_a_format_cannot_hold_are_reduced_with_a_note(tmp_path, capsys, suffix):
    path, values = sixteen_bits(tmp_path, "color .png")
    assert inpaint(tmp_path, path.name, f"b{suffix}") == 0
    assert "8 bits" in capsys.readouterr().err
    if suffix != ".jpg":
        with Image.open(tmp_path / f"b{suffix}") as after:
            difference = np.abs(np.asarray(after.convert("RGB")) - values / 257.0)[~HOLE]
        assert difference.max() <= 0.51


def test_eight_bits_in_a_file_of_sixteen_are_taken_for_eight(tmp_path):
    values = RNG.integers(0, 256, SIZE).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = decode_image(tmp_path / "a.png")
    assert np.allclose(picture.image[0].numpy(), values / 255.0)
    assert "255" in " ".join(picture.notes)


@pytest.mark.parametrize("maximum", [1.0, 255.0])
def test_floats_in_the_usual_ranges_are_taken_as_they_are(tmp_path, maximum):
    values = (RNG.random(SIZE) * 0.4 * maximum + 0.3 * maximum).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    assert np.allclose(decode_image(tmp_path / "a.tif").image[0].numpy(), values / maximum, atol=1e-6)


def test_cmyk_is_converted_with_a_note(tmp_path):
    Image.fromarray(EIGHT_BITS).convert("CMYK").save(tmp_path / "a.tif")
    picture = decode_image(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal((picture.image * 255).round().permute(1, 2, 0).numpy(), expected)
    assert "CMYK" in " ".join(picture.notes)


def test_zero_as_white_is_read_in_eight_bits_and_rejected_above(tmp_path):
    for depth in (np.uint8, np.uint16):
        tifffile.imwrite(tmp_path / "w.tif", EIGHT_BITS[..., 0].astype(depth), photometric="miniswhite")
        if depth == np.uint8:
            read = decode_image(tmp_path / "w.tif").image[0]
            assert np.array_equal((read * 255).round().numpy(), 255 - EIGHT_BITS[..., 0])
        else:
            with pytest.raises(ImageFileError, match="MinIsWhite"):
                decode_image(tmp_path / "w.tif")
