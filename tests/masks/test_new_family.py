"""A family of masks added by one registration is available in every command, node and recipe."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inpaint_core.masks import GENERATORS, generate

ROOT = Path(__file__).resolve().parents[2]
FAMILY = """
import math

import numpy as np
from pydantic import Field

from inpaint_core.masks.generators.controls import Control
from inpaint_core.masks.generators.generator import Example, Generator
from inpaint_core.masks.generators.request import Canvas, Options, Request, scale


class SpotOptions(Options):
    radius: float = Field(0.25, ge=0.01, le=0.5, description="Radius, in parts of the shorter side.")
    stretch: float = Field(1.0, ge=1.0, le=4.0, description="Width over height.")


def draw(request: Request, options: SpotOptions, rng: np.random.Generator) -> Canvas:
    down, along = rng.uniform(0.4, 0.6, 2)

    def draw_spot(canvas: Canvas, part: float) -> None:
        rows, columns = (np.arange(side, dtype=np.float32) + 0.5 for side in canvas.shape)
        radius = options.radius * part * request.side
        across = (columns - along * canvas.shape[1]) / options.stretch
        canvas[(rows[:, None] - down * canvas.shape[0]) ** 2 + across**2 <= radius**2] = 1

    return scale(request, draw_spot, math.hypot(request.height, request.width) / (options.radius * request.side))


GENERATOR = Generator(
    "spot",
    "one round spot",
    SpotOptions,
    draw,
    examples=(Example("round"), Example("wide", {"stretch": 2.0})),
    controls=(Control("stretch", step=0.1),),
)
"""
REGISTRATION = "GENERATORS[GENERATOR.name] = GENERATOR"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The new family in its own file, which registers itself."""
    path = tmp_path / "spot_family.py"
    path.write_text(f"from inpaint_core.masks import GENERATORS\n{FAMILY}\n{REGISTRATION}\n")
    return path


@pytest.fixture
def spot(module: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the new family, registered for one test."""
    monkeypatch.setitem(GENERATORS, "spot", None)  # so that it is taken out again
    spec = importlib.util.spec_from_file_location(module.stem, module)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return "spot"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    rows, columns = np.mgrid[0:64, 0:64]
    Image.fromarray(np.stack([rows * 4, columns * 4, rows + columns], axis=2).astype(np.uint8)).save(path)
    return path


def test_the_mask_command_draws_it_with_its_options(
    spot: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from inpaint_core.__main__ import main

    out = tmp_path / "mask.png"
    command = ["mask", spot, "--size", "80", "128", "--radius", "0.2", "--stretch", "1.5", "--seed", "3"]
    assert main([*command, "--out", str(out)]) == 0
    drawn = np.array(Image.open(out)) == 255
    assert np.array_equal(drawn, generate(spot, (80, 128), seed=3, radius=0.2, stretch=1.5)[0, 0].numpy() == 1)
    assert drawn.sum() == pytest.approx(np.pi * 16.0**2 * 1.5, rel=0.03)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["mask", spot, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "Draw masks: one round spot." in shown
    assert "Width over height. (default: 1)" in shown


def test_the_contact_sheet_has_a_tile_for_each_of_its_examples(spot: str, tmp_path: Path, picture: Path) -> None:
    from inpaint_core.__main__ import main
    from inpaint_core.masks.generators.contact_sheet import CAPTION, GAP, ROWS

    out = tmp_path / "sheet.png"
    assert main(["mask", "sheet", "--image", str(picture), "--out", str(out)]) == 0
    sheet, image = np.array(Image.open(out)), np.array(Image.open(picture))
    columns = (sheet.shape[1] - GAP) // (64 + GAP)
    last = 1 + sum(len(family.examples) for family in GENERATORS.values() if not family.required)
    for index, stretch in ((last - 1, 1.0), (last, 2.0)):
        top, left = GAP + (index // columns) * (64 + GAP + CAPTION), GAP + (index % columns) * (64 + GAP)
        assert index // columns < ROWS
        hole = generate(spot, (64, 64), (0.2, 0.3), seed=0, stretch=stretch)[0, 0].numpy() == 1
        tile = sheet[top : top + 64, left : left + 64]
        assert (tile[hole] == 255).all()
        assert np.array_equal(tile[~hole], image[~hole])


def test_a_recipe_mixes_it_into_its_training(spot: str) -> None:
    from training.config import parse_config, read_recipe

    config = parse_config(read_recipe("demo") | {"masks": {"sources": [{"name": spot, "options": {"radius": 0.4}}]}})
    mask = config.masks.draw((200, 240), 5)
    assert float(mask.sum()) == pytest.approx(np.pi * 80.0**2, rel=0.03)


def test_pictures_are_filled_and_models_evaluated_with_it(spot: str, tmp_path: Path, picture: Path) -> None:
    from inpaint_core.__main__ import main
    from training.evaluation.pairs import Pairs

    out = tmp_path / "filled.png"
    assert main(["inpaint", "--model", "telea", "--image", str(picture), "--mask", spot, "--out", str(out)]) == 0
    assert out.exists()
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture.rename(folder / picture.name)
    pairs = Pairs(folder, spot, size=64, buckets=((0.2, 0.3),))
    assert 0.2 < float(pairs.load(pairs[0])[1].mean()) <= 0.3


def test_the_parametrized_tests_of_families_include_it(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[..., BaseProcess]
) -> None:
    monkeypatch.syspath_prepend(module.parent)
    report = tmp_path / "report.xml"
    options = ["-c", ROOT / "pyproject.toml", "-p", module.stem, "-p", "no:cacheprovider", f"--junitxml={report}"]
    process = start("pytest", [*options, "-k", "spot", ROOT / "tests" / "masks" / "test_generators.py"])
    process.join(120)
    assert process.exitcode == 0, report.read_text() if report.exists() else "no report"
    passed = {case.get("name", "").partition("[")[0] for case in ET.parse(report).iter("testcase")}
    assert passed >= {
        "test_two_hundred_masks_meet_the_requested_ratio",
        "test_masks_depend_on_the_seed_and_on_nothing_else",
        "test_patterns_do_not_depend_on_the_resolution",
        "test_holes_keep_the_requested_distance_from_the_edge",
        "test_every_family_covers_as_much_as_it_says_and_no_more",
    }
