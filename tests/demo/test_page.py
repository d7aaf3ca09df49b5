"""The page over HTTP: what it serves, what it refuses, and that visitors do not see each other."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
from gradio_client import handle_file
from gradio_client.exceptions import AppError

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT / "nodes" / "photographs"
DRAW, CLICK = "Draw with the brush", "Click superpixels"


@pytest.fixture
def visitor(server: Any) -> Any:
    """A visitor with a session of their own."""
    return server.connect()


def drawing(folder: Path, size: tuple[int, int], box: tuple[float, float, float, float]) -> dict[str, Any]:
    """What the editor sends for a rectangle, given as fractions of a picture of this width and height."""
    width, height = size
    layer = Image.new("RGBA", size)
    left, top, right, bottom = box
    place = (round(left * width), round(top * height), round(right * width), round(bottom * height))
    layer.paste((230, 0, 122, 178), place)
    layer.save(folder / "layer.png")
    return {"background": None, "layers": [handle_file(folder / "layer.png")], "composite": None}


def status(url: str) -> tuple[int, bytes]:
    """Status and body of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def refused(call: Any) -> str:
    """The sentence of the toast with which a call is refused."""
    with pytest.raises(AppError) as caught:
        call()
    return str(caught.value).strip("'\"")


def test_no_file_of_the_server_is_readable(server: Any) -> None:
    secret = server.folder.parent / "secret.txt"
    secret.write_text("between us")
    files = ["/etc/passwd", "/proc/self/environ", "pyproject.toml", "../../../../../etc/passwd"]
    files += [str(ROOT / "pyproject.toml"), str(ROOT / "demo" / "page.py"), str(PHOTOGRAPHS / "wren.jpg"), str(secret)]
    for route in ("/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/", "/assets/"):
        for file in files:
            code, body = status(f"{server.url}{route}{urllib.parse.quote(file)}")
            assert code in (403, 404), (route, file)
            assert b"between us" not in body


def test_a_path_or_an_address_in_place_of_an_upload_is_refused(server: Any, visitor: Any) -> None:
    for place in ("/etc/passwd", str(ROOT / "pyproject.toml"), "http://127.0.0.1:9/x.png", "https://example.com/x.png"):
        payload = {"path": place, "meta": {"_type": "gradio.FileData"}}
        with pytest.raises((AppError, ValueError)):
            visitor.predict(payload, DRAW, 50, api_name="/open_picture")
    for place in ("https://example.com/", "http%3A%2F%2F127.0.0.1%3A9/"):
        assert status(f"{server.url}/gradio_api/file={place}")[0] == 403


def test_the_page_asks_for_nothing_from_other_hosts(server: Any) -> None:
    with urllib.request.urlopen(server.url, timeout=20) as answer:
        policy, page = answer.headers["content-security-policy"], answer.read().decode()
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "fonts.googleapis.com" not in page
    config = json.loads(status(f"{server.url}/config")[1])
    assert config["analytics_enabled"] is False
    assert not config.get("stylesheets")


def test_a_text_file_is_refused_in_one_sentence(visitor: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    sentence = refused(lambda: visitor.predict(handle_file(tmp_path / "notes.txt"), DRAW, 50, api_name="/open_picture"))
    assert sentence.startswith("notes.txt: not a picture")
    assert "upload a PNG" in sentence


def test_names_in_toasts_are_no_markup() -> None:
    import gradio as gr

    from demo.page import told
    from demo.pictures import VisitorError

    with pytest.raises(gr.Error) as caught, told():
        raise VisitorError("<img src=x>.png has a name\nof two lines")
    assert caught.value.message == "&lt;img src=x&gt;.png has a name of two lines"


def test_no_picture_no_hole_and_a_hole_over_everything_are_refused(visitor: Any, picture: Path, tmp_path: Path) -> None:
    def fill(box: tuple[float, float, float, float]) -> str:
        return refused(
            lambda: visitor.predict(DRAW, drawing(tmp_path, (96, 72), box), "telea", "network", api_name="/fill")
        )

    assert fill((0.2, 0.2, 0.4, 0.4)).startswith("There is no picture yet")
    visitor.predict(handle_file(picture), DRAW, 50, api_name="/open_picture")
    assert fill((0.0, 0.0, 0.0, 0.0)).startswith("There is no hole yet: draw over")
    assert fill((0.0, 0.0, 1.0, 1.0)).startswith("The hole covers the whole picture")


def test_a_file_over_the_limit_is_refused(server: Any, visitor: Any, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(b"0" * int(server.limits.megabytes * 1e6 + 1))
    with pytest.raises(Exception, match=r"413|size"):
        visitor.predict(handle_file(tmp_path / "large.png"), DRAW, 50, api_name="/open_picture")
    Image.new("L", (6000, 4000)).save(tmp_path / "wide.png")
    sentence = refused(lambda: visitor.predict(handle_file(tmp_path / "wide.png"), DRAW, 50, api_name="/open_picture"))
    assert sentence == "wide.png has more than the 21 megapixels that this page accepts: reduce it first."


def test_twenty_megapixels_are_filled_at_full_size(visitor: Any, tmp_path: Path) -> None:
    path = tmp_path / "camera.jpg"
    Image.open(PHOTOGRAPHS / "boat.jpg").resize((5184, 3888)).save(path, quality=85)
    opened = visitor.predict(handle_file(path), DRAW, 50, api_name="/open_picture")
    assert "camera.jpg: 5184 x 3888 pixels." in str(opened)
    box = (0.4, 0.4, 0.45, 0.45)
    answer = visitor.predict(DRAW, drawing(tmp_path, (1024, 768), box), "smooth", "network", api_name="/fill")
    before, after = np.asarray(Image.open(path)), np.asarray(Image.open(result_of(answer)))
    assert before.shape == after.shape
    changed = np.argwhere((before != after).any(2))
    assert changed.min(0) == pytest.approx([0.4 * 3888, 0.4 * 5184], abs=8)
    assert changed.max(0) == pytest.approx([0.45 * 3888, 0.45 * 5184], abs=8)


def result_of(answer: Any) -> str:
    """The downloaded file among a call's results."""
    (found,) = [
        value
        for value in (part.get("value") if isinstance(part, dict) else part for part in answer)
        if isinstance(value, str) and value.endswith("_filled.png")
    ]
    return found


def test_two_visitors_at_once_get_their_own_pictures(server: Any, tmp_path: Path) -> None:
    colors = {"red": (200, 10, 10), "blue": (10, 10, 200)}
    visitors = {name: server.connect() for name in colors}
    for name, color in colors.items():
        (tmp_path / name).mkdir()
        Image.new("RGB", (64, 48), color).save(tmp_path / name / "same name.png")
    results: dict[str, Any] = {}
    together = threading.Barrier(2)

    def visit(name: str) -> None:
        visitor = visitors[name]
        together.wait(timeout=60)
        visitor.predict(handle_file(tmp_path / name / "same name.png"), DRAW, 50, api_name="/open_picture")
        together.wait(timeout=60)
        marked = drawing(tmp_path / name, (64, 48), (0.25, 0.25, 0.75, 0.75))
        results[name] = result_of(visitor.predict(DRAW, marked, "mean", "network", api_name="/fill"))

    threads = [threading.Thread(target=visit, args=(name,)) for name in colors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for name, color in colors.items():
        assert (np.asarray(Image.open(results[name])) == color).all()
    third = refused(
        lambda: server.connect().predict(
            DRAW, drawing(tmp_path, (64, 48), (0.2, 0.2, 0.4, 0.4)), "mean", "network", api_name="/fill"
        )
    )
    assert third.startswith("There is no picture yet")


def test_a_stop_ends_a_fill_and_nothing_is_downloaded(visitor: Any, tmp_path: Path) -> None:
    path = tmp_path / "ground.png"
    Image.open(PHOTOGRAPHS / "moss.jpg").resize((1800, 1200)).save(path)
    visitor.predict(handle_file(path), DRAW, 50, api_name="/open_picture")
    marked = drawing(tmp_path, (900, 600), (0.2, 0.2, 0.8, 0.8))
    job = visitor.submit(DRAW, marked, "patches", "network", api_name="/fill")
    while not (job.status().progress_data or job.done()):
        time.sleep(0.1)
    visitor.predict(api_name="/stop")
    answer = job.result(timeout=120)
    assert "Stopped." in str(answer)
    assert "_filled.png" not in str(answer)


def test_everything_is_written_below_the_temporary_folder(server: Any, visitor: Any, picture: Path) -> None:
    visitor.predict(handle_file(picture), CLICK, 50, api_name="/open_picture")
    config = status(f"{server.url}/config")[1].decode()
    assert str(ROOT) not in config
    assert [path for path in server.folder.rglob("noise.png") if path.is_file()]


def test_a_picture_is_translated(visitor: Any, picture: Path) -> None:
    visitor.predict(handle_file(picture), api_name="/open_to_see")
    answer = visitor.predict("see-clouds", 1.0, "percentile", False, 128, api_name="/translate")
    assert "noise_see-clouds.png" in str(answer)
