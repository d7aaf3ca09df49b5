"""Checkpoints and pictures with a few errors in them: each is read correctly or rejected with a one-line error."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inpaint_core import inpaint, load_model, save_model
from inpaint_core.checkpoints.card import ModelCard
from inpaint_core.checkpoints.inpainting_model import InpaintingModel
from inpaint_core.files.images import ImageFileError, decode_image
from inpaint_core.models import build_model

pytestmark = [pytest.mark.attack]

STRIDE = int(os.environ.get("LIMINAL_ATTACK_STRIDE", "1"))
START = int(os.environ.get("LIMINAL_ATTACK_START", "1"))
CHECKPOINTS = range(START, 5001, STRIDE)
PICTURES = range(START, 2001, STRIDE)
SECONDS = 5.0
MEBIBYTES = 1024  # MiB that one file may add to the process

ODD_NUMBERS = (-1, 0, 1, 2, 7, 8192, 2**31, 2**53, 2**64, 10**400, 0.5, -0.5, 1e300, True, None)
ODD_TEXTS = (
    "",
    "\n",
    "\x1b[31mred\x1b[0m",
    "a\nb",
    "x" * 60_000,
    "../../etc/passwd",
    "\u202e",
    "\ud7ff",
    "unet",
    "glcic",
)
TYPES = (
    "F64",
    "F32",
    "F16",
    "BF16",
    "I64",
    "I32",
    "I16",
    "I8",
    "U8",
    "BOOL",
    "F8_E4M3",
    "F8_E5M2",
    "U16",
    "U32",
    "C64",
)


def is_one_clean_line(text: str) -> bool:
    """Whether a sentence can be displayed safely."""
    return 0 < len(text) <= 2000 and text.isprintable()


def peak() -> float:
    """Peak size of the process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good file of a small network."""
    arguments = {"width": 4, "max_width": 8, "depth": 2, "norm": "batch"}
    card = ModelCard(architecture="unet", arguments=arguments, trained_size=32)
    path = tmp_path_factory.mktemp("good") / "good.safetensors"
    save_model(InpaintingModel(card, build_model("unet", **arguments)), path)
    return path.read_bytes()


def mutated_checkpoints(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Files with the numbers `CHECKPOINTS`, each with what was done to it."""
    size = struct.unpack("<Q", good[:8])[0]
    header, body = json.loads(good[8 : 8 + size]), good[8 + size :]
    for number in CHECKPOINTS:
        rng = random.Random(number)
        kind = rng.choice(["bytes", "bytes", "cut", "header", "card", "card", "tensor", "values", "length"])
        if kind == "bytes":
            data = bytearray(good)
            for _ in range(rng.choice([1, 1, 2, 8, 64])):
                data[rng.randrange(len(data) if rng.random() < 0.5 else 8 + size)] ^= 1 << rng.randrange(8)
            yield f"{number} bytes", bytes(data)
        elif kind == "cut":
            yield f"{number} cut", good[: rng.randrange(len(good))] + bytes(rng.choice([0, 0, 1, 4096]))
        elif kind == "length":
            length = rng.choice([0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1])
            yield f"{number} length {length}", struct.pack("<Q", length) + good[8:]
        else:
            changed = json.loads(json.dumps(header))
            what = CHANGES[kind](changed, rng)
            data = body
            if kind == "values":
                array = np.frombuffer(body, np.uint8).copy()
                start = rng.randrange(0, len(array) - 8) & ~3
                array[start : start + 4] = np.frombuffer(
                    np.float32(rng.choice([np.nan, np.inf, -np.inf, 3e38, 1e-45])).tobytes(), np.uint8
                )
                data = array.tobytes()
            text = json.dumps(changed).encode()
            yield f"{number} {kind} {what:.80}", struct.pack("<Q", len(text)) + text + data


def change_card(header: dict[str, Any], rng: random.Random) -> str:
    """Change, drop or add one field of the card, at any depth."""
    card = json.loads(header["__metadata__"]["liminal.card"])
    place = rng.choice([card, card, card["arguments"]])
    key = rng.choice([*place, "new", "a\nb"])
    value = rng.choice([*ODD_NUMBERS, *ODD_TEXTS, [], {}, [[]] * 9, {"a": {"b": {}}}, float("nan"), ["x", 1, None]])
    if rng.random() < 0.15:
        place.pop(key, None)
    else:
        place[key] = value
    header["__metadata__"]["liminal.card"] = json.dumps(card)
    return f"{key}={value!r:.60}"


def change_header(header: dict[str, Any], rng: random.Random) -> str:
    """Change the metadata, or names of weights."""
    names = [name for name in header if name != "__metadata__"]
    match rng.randrange(4):
        case 0:
            header["__metadata__"] = rng.choice([None, {}, {"liminal.card": ""}, {"liminal.card": "[" * 5000}, []])
        case 1:
            header[rng.choice(["extra", "\n", "\x1b[2J"])] = header[rng.choice(names)]
        case 2:
            del header[rng.choice(names)]
        case 3:
            header["__metadata__"]["more"] = "y" * rng.choice([10, 10**6])
    return "header"


def change_tensor(header: dict[str, Any], rng: random.Random) -> str:
    """Give one weight another type, shape or place."""
    name = rng.choice([name for name in header if name != "__metadata__"])
    entry = header[name]
    match rng.randrange(3):
        case 0:
            entry["dtype"] = rng.choice(TYPES)
        case 1:
            entry["shape"] = rng.choice([[], [0], [-1], [2**40], entry["shape"][::-1], [*entry["shape"], 1]])
        case 2:
            entry["data_offsets"] = [rng.choice([0, -1, 2**62, entry["data_offsets"][0] + 4]), entry["data_offsets"][1]]
    return f"{name} {entry!r:.60}"


CHANGES = {"card": change_card, "header": change_header, "tensor": change_tensor, "values": lambda *_: "odd values"}


def test_mutated_checkpoints_are_rejected_in_one_line_or_work(checkpoint: bytes, tmp_path: Path) -> None:
    image = torch.rand((1, 3, 40, 48), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 40, 48)
    mask[..., 10:25, 12:30] = 1.0
    path = tmp_path / "mutated.safetensors"
    wrong, accepted = [], 0
    for what, data in mutated_checkpoints(checkpoint):
        path.write_bytes(data)
        start, before = time.monotonic(), peak()
        try:
            model = load_model(path)
            filled = inpaint(model, image, mask, detail="network")
            accepted += 1
            if not bool(torch.isfinite(filled).all()) or not torch.equal(filled * (1 - mask), image * (1 - mask)):
                wrong.append(f"{what}: accepted, and the fill is wrong")
        except ValueError as error:  # a CheckpointError, or a fill that is not finite
            if not is_one_clean_line(str(error)):
                wrong.append(f"{what}: {str(error)!r:.200}")
        except Exception as error:
            wrong.append(f"{what}: {type(error).__name__}: {error!s:.200}")
        if time.monotonic() - start > SECONDS or peak() - before > MEBIBYTES:
            wrong.append(f"{what}: {time.monotonic() - start:.1f} s, {peak() - before:.0f} MiB")
    print(f"{len(CHECKPOINTS)} checkpoints, {accepted} accepted, {len(wrong)} wrong")
    assert not wrong, f"{len(wrong)} of {len(CHECKPOINTS)} wrong ({accepted} accepted):\n" + "\n".join(wrong)


def good_pictures() -> dict[str, bytes]:
    """One small picture of every format and common mode, with EXIF where the format has it."""
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    modes = {
        "rgb": color,
        "gray": color.convert("L"),
        "rgba": Image.fromarray(rng.integers(0, 256, (24, 32, 4), dtype=np.uint8)),
        "palette": color.quantize(16),
        "deep": Image.fromarray(rng.integers(0, 65536, (24, 32), dtype=np.uint16)),
        "bits": color.convert("1"),
        "float": Image.fromarray(rng.random((24, 32), dtype=np.float32)),
        "cmyk": color.convert("CMYK"),
        "lab": Image.merge("LAB", color.split()),
    }
    exif = Image.Exif()
    exif[274], exif[282], exif[305] = 6, 72.0, "camera"
    found = {}
    for suffix, names in {
        ".png": ("rgb", "gray", "rgba", "palette", "deep", "bits"),
        ".jpg": ("rgb", "gray", "cmyk"),
        ".tif": ("rgb", "gray", "rgba", "palette", "deep", "bits", "float", "cmyk", "lab"),
        ".webp": ("rgb", "rgba"),
        ".gif": ("palette",),
        ".bmp": ("rgb", "palette", "bits"),
        ".ppm": ("rgb",),
    }.items():
        for name in names:
            stream = io.BytesIO()
            extra = {"exif": exif} if suffix in (".png", ".jpg", ".tif", ".webp") else {}
            modes[name].save(stream, Image.registered_extensions()[suffix], **extra)
            found[f"{name}{suffix}"] = stream.getvalue()
    return found


def test_mutated_pictures_are_rejected_in_one_line_or_read(tmp_path: Path) -> None:
    goods = good_pictures()
    wrong, read = [], 0
    for number in PICTURES:
        rng = random.Random(number)
        name = rng.choice(list(goods))
        data = bytearray(goods[name])
        for _ in range(rng.choice([0, 1, 1, 2, 4, 32])):
            place = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 200))
            data[place] = rng.choice([data[place] ^ (1 << rng.randrange(8)), 0, 255, rng.randrange(256)])
        if rng.random() < 0.15:
            data = data[: rng.randrange(len(data))]
        path = tmp_path / f"{number} {name}"
        path.write_bytes(data)
        start, before = time.monotonic(), peak()
        try:
            picture = decode_image(path)
            read += 1
            known = picture.image[:, ~picture.unknown[0]]
            if picture.image.shape[0] != 3 or not bool(((known >= 0.0) & (known <= 1.0)).all()):
                wrong.append(f"{number} {name}: read, but not a picture")
        except ImageFileError as error:
            if not is_one_clean_line(str(error)) or path.name not in str(error):
                wrong.append(f"{number} {name}: {str(error)!r:.200}")
        except Exception as error:
            wrong.append(f"{number} {name}: {type(error).__name__}: {error!s:.200}")
        if time.monotonic() - start > SECONDS or peak() - before > MEBIBYTES:
            wrong.append(f"{number} {name}: {time.monotonic() - start:.1f} s, {peak() - before:.0f} MiB")
        path.unlink()
    print(f"{len(PICTURES)} pictures, {read} read, {len(wrong)} wrong")
    assert not wrong, f"{len(wrong)} of {len(PICTURES)} wrong ({read} read):\n" + "\n".join(wrong)
