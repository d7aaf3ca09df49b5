"""Filling: known pixels stay, progress is told, a stop is not swallowed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from demo.filling import BIHARMONIC_PIXELS, fill
from demo.models import Models, fill_names, is_network, labeled
from demo.pictures import Limits, Upload, VisitorError, open_upload
from demo.stopping import StoppedError, Stops, check
from inpaint_core.checkpoints.embedded import EMBEDDED_INPAINTING
from inpaint_core.inpainting.classical import CLASSICAL_METHODS


def middle(size: tuple[int, int]) -> torch.Tensor:
    """A hole in the middle third."""
    height, width = size
    hole = torch.zeros(size)
    hole[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 1.0
    return hole


@pytest.fixture
def upload(picture: Path) -> Upload:
    return open_upload(picture, Limits())


def test_every_embedded_model_and_classical_fill_is_offered_with_a_description() -> None:
    assert set(EMBEDDED_INPAINTING) | set(CLASSICAL_METHODS) <= set(fill_names())
    assert fill_names()[0] == EMBEDDED_INPAINTING[0]
    assert all(shown.startswith(f"{name}: ") for shown, name in labeled(fill_names()))
    assert [name for name in fill_names() if is_network(name)] == list(EMBEDDED_INPAINTING)


@pytest.mark.parametrize(("name", "detail"), [("telea", "patches"), ("glcic-natural", "network")])
def test_known_pixels_of_the_result_are_those_of_the_upload(
    models: Models, upload: Upload, name: str, detail: str, tmp_path: Path
) -> None:
    filled = fill(models, Limits(), upload, middle, name, detail, tmp_path)
    before, after = (np.asarray(Image.open(path)) for path in (upload.path, filled.file))
    hole = middle((upload.height, upload.width)).numpy() > 0.5
    assert np.array_equal(before[~hole], after[~hole])
    assert (before[hole] != after[hole]).any()
    assert filled.file.name == "noise_filled.png"
    assert np.array_equal(filled.before, upload.shown)
    assert np.array_equal(filled.after, after)
    assert filled.summary.startswith(f"{name} filled 11.1% of 96 x 72 pixels")


def test_a_model_is_loaded_once(models: Models) -> None:
    assert models.completer("glcic-natural") is models.completer("glcic-natural")


def test_a_stop_ends_the_work_and_leaves_no_result(models: Models, upload: Upload, tmp_path: Path) -> None:
    stops = Stops()
    event = stops.begin("someone")
    steps = []

    def progress(done: int, total: int) -> None:
        check(event)
        steps.append((done, total))
        assert not stops.stop("someone else")
        assert stops.stop("someone")

    with pytest.raises(StoppedError):
        fill(models, Limits(), upload, middle, "patches", "network", tmp_path, progress=progress)
    assert len(steps) == 1
    assert not list(tmp_path.glob("*/*"))
    stops.end("someone", event)
    assert not stops.stop("someone")


def test_work_that_ended_does_not_end_the_registration_of_the_next() -> None:
    stops = Stops()
    first, second = stops.begin("someone"), stops.begin("someone")
    stops.end("someone", first)
    assert stops.stop("someone")
    assert second.is_set()
    assert not first.is_set()


def test_what_cannot_be_filled_is_refused(models: Models, upload: Upload, tmp_path: Path) -> None:
    def attempt(name: str, detail: str = "network", picture: Upload | None = upload, ones: bool = True) -> None:
        whole = torch.ones if ones else torch.zeros
        fill(models, Limits(), picture, whole, name, detail, tmp_path)

    for arguments, sentence in [
        ({"name": "../etc/passwd"}, "There is no fill of this name"),
        ({"name": "telea", "detail": "none"}, "There is no detail of this name"),
        ({"name": "telea", "picture": None}, "There is no picture yet"),
        ({"name": "telea"}, "covers the whole picture"),
        ({"name": "telea", "ones": False}, "There is no hole yet"),
    ]:
        with pytest.raises(VisitorError, match=sentence):
            attempt(**arguments)


def test_a_hole_that_biharmonic_would_need_minutes_for_is_refused(models: Models, tmp_path: Path) -> None:
    Image.new("RGB", (600, 600)).save(tmp_path / "large.png")
    upload = open_upload(tmp_path / "large.png", Limits())

    def mark(size: tuple[int, int]) -> torch.Tensor:
        hole = torch.zeros(size)
        hole.view(-1)[: BIHARMONIC_PIXELS + 1] = 1.0
        return hole

    with pytest.raises(VisitorError, match=r"100,001 pixels and biharmonic takes at most 100,000"):
        fill(models, Limits(), upload, mark, "biharmonic", "network", tmp_path)
