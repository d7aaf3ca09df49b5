"""The page itself: components and events. Everything that it does is in the other modules."""

from __future__ import annotations

import base64
import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from inpaint_core.checkpoints.embedded import EMBEDDED_TRANSLATION
from inpaint_core.files.opening import ImageFileError
from inpaint_core.text import MAX_MESSAGE_LENGTH, one_line

from .filling import fill
from .holes import Superpixels, marked_hole
from .local_files import accept_only_uploads
from .models import Models, fill_names, is_network, labeled
from .pictures import Limits, Upload, open_upload
from .stopping import StoppedError, Stops, check
from .translating import CONTRASTS, SHAPES, Live, Look, translate_upload

EXAMPLES = Path(__file__).resolve().parents[1] / "nodes" / "photographs"
FILL_EXAMPLES = ("dunes", "boat", "wren", "road")
SEE_EXAMPLES = ("wren", "corridor", "lavender", "beach")
DRAW, CLICK = "Draw with the brush", "Click superpixels"
DETAILS = [("copied from the surroundings", "patches"), ("its own", "network")]
KEEP = 3600  # seconds until uploads and results are deleted
WAITING = 32  # visitors' requests in the queue; further ones are refused
WEBCAM_SECONDS = 300
PROGRESS_EVERY = 0.5  # seconds: passes are too short to tell the browser of each
BRUSH = ("#e6007a", 0.7)  # seen on most photographs, which stay visible below

CSS = """
footer { display: none !important }
.gradio-container { max-width: 1280px !important; margin: 0 auto !important }
#superpixels img { width: 100%; max-height: 70vh; object-fit: contain; cursor: pointer }
#screen img { width: 100%; max-height: 420px; object-fit: contain }
#title h1 { margin-bottom: 0 }
#title p { margin-top: .25rem; color: var(--body-text-color-subdued) }
.wrap:has(> .error) { display: none !important }
.note { color: var(--body-text-color-subdued); font-size: .9rem; min-height: 1.3rem }
"""


def make_theme() -> gr.themes.Base:
    """A plain theme with the system's fonts, so that the browser asks no other host for any."""
    return gr.themes.Default(
        primary_hue="orange",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


@contextmanager
def told() -> Iterator[None]:
    """Show errors to the visitor as a toast. `StoppedError` is not one of them and passes through.

    Raises
    ------
    gr.Error
        One sentence. It is displayed as HTML, so names in it are escaped.
    """
    try:
        yield
    except (ImageFileError, OSError):  # these name the server's folders
        sentence = "The server cannot read or write the picture at the moment: upload it again."
    except ValueError as error:
        sentence = one_line(str(error), MAX_MESSAGE_LENGTH)
    except MemoryError:
        sentence = "The server has too little memory for this picture: reduce it, or mark a smaller hole."
    else:
        return
    raise gr.Error(html.escape(sentence), print_exception=False)


def build(models: Models, limits: Limits, results: Path) -> gr.Blocks:
    """The page.

    Parameters
    ----------
    models
        Shared by all visitors.
    limits
        What is accepted.
    results
        An existing folder for results, which Gradio deletes after a while.
    """
    stops = Stops()
    with gr.Blocks(title="Liminal", analytics_enabled=False, delete_cache=(KEEP // 6, KEEP)) as page:
        gr.Markdown(
            "# Liminal\nRemove things from a photograph, or see it through the eyes of a network that only knows "
            "flowers, the sea or the sky. Everything is computed on this server; pictures are deleted after an hour.",
            elem_id="title",
        )
        with gr.Tab("Fill"):
            _fill_tab(models, limits, results, stops)
        with gr.Tab("Learning to See"):
            _see_tab(models, limits, results)
        page.unload(_leaver(stops))
    accept_only_uploads(page)
    return page.queue(max_size=WAITING, default_concurrency_limit=4, api_open=False)


def _fill_tab(models: Models, limits: Limits, results: Path, stops: Stops) -> None:
    upload = gr.State(None, time_to_live=KEEP)
    superpixels = gr.State(None, time_to_live=KEEP)
    with gr.Row():
        with gr.Column(scale=6):
            file, note, examples = _picture_input(FILL_EXAMPLES, limits, "fill")
            how = gr.Radio(
                [DRAW, CLICK], value=DRAW, label="2. Mark what should disappear", elem_id="how", interactive=True
            )
            editor = gr.ImageEditor(
                label="Draw over it",
                placeholder="Choose a picture first",
                elem_id="editor",
                type="numpy",
                image_mode="RGBA",
                format="png",
                sources=(),
                transforms=(),
                layers=False,
                brush=gr.Brush(default_size=28, colors=[BRUSH], default_color=BRUSH, color_mode="fixed"),
                canvas_size=(800, 500),
                height=480,
                interactive=True,
                buttons=[],
            )
            with gr.Column(visible=False) as clicking:
                clicked = gr.Image(
                    label="Click what should disappear; click again to deselect it",
                    elem_id="superpixels",
                    format="jpeg",
                    interactive=False,
                    buttons=[],
                )
                count = gr.Slider(20, 800, value=150, step=10, label="Number of superpixels", elem_id="count")
                chosen = gr.Markdown("", elem_classes="note", elem_id="chosen")
        with gr.Column(scale=5):
            names = fill_names()
            name = gr.Dropdown(labeled(names), value=names[0], label="3. Fill with", elem_id="model")
            detail = gr.Radio(DETAILS, value="patches", label="Detail of a network's fill", elem_id="detail")
            with gr.Row():
                start = gr.Button("Fill", variant="primary", elem_id="fill", scale=3)
                stop = gr.Button("Stop", elem_id="stop", scale=1, min_width=80)
            compared = _before_and_after("compared")
            summary = gr.Markdown("", elem_classes="note", elem_id="summary")
            download = _download("download")

    def opened(path: str | Path | None, mode: str, number: int) -> dict[Any, Any]:
        with told():
            found = open_upload(path, limits)
            divided = Superpixels.of(found, number) if mode == CLICK else None
        shown: dict[Any, Any] = {
            upload: found,
            superpixels: divided,
            note: _describe(found),
            editor: {"background": found.shown, "layers": [], "composite": None},
            compared: None,
            download: gr.DownloadButton(value=None, interactive=False),
            summary: "",
        }
        return shown | _clicking(found, divided)

    def _clicking(found: Upload | None, divided: Superpixels | None) -> dict[Any, Any]:
        if found is None or divided is None:
            return {clicked: None if found is None else found.shown, chosen: ""}
        return {clicked: divided.drawn_over(found), chosen: divided.summary()}

    def divide(found: Upload | None, mode: str, number: int, before: Superpixels | None, again: bool) -> dict[Any, Any]:
        with told():
            divided = before
            if mode == CLICK and found is not None and (again or before is None):
                divided = Superpixels.of(found, number)
        return {
            superpixels: divided,
            editor: gr.ImageEditor(visible=mode == DRAW),
            clicking: gr.Column(visible=mode == CLICK),
        } | _clicking(found, divided)

    def change_way(found: Upload | None, mode: str, number: int, before: Superpixels | None) -> dict[Any, Any]:
        return divide(found, mode, number, before, again=False)

    def change_count(found: Upload | None, mode: str, number: int, before: Superpixels | None) -> dict[Any, Any]:
        return divide(found, mode, number, before, again=True)

    def toggle(found: Upload | None, divided: Superpixels | None, event: gr.SelectData) -> dict[Any, Any]:
        if found is None or divided is None:
            return {superpixels: divided}
        toggled = divided.toggle(*event.index)
        return {superpixels: toggled} | _clicking(found, toggled)

    def run(
        found: Upload | None,
        mode: str,
        drawing: dict[str, Any] | None,
        divided: Superpixels | None,
        model: str,
        detailed: Any,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        event, began, told_at = stops.begin(_visitor(request)), time.perf_counter(), -PROGRESS_EVERY

        def report(done: int, total: int) -> None:
            nonlocal told_at
            check(event)
            seconds = time.perf_counter() - began
            if seconds < told_at + PROGRESS_EVERY:
                return
            told_at = seconds
            progress((done, max(total, 1)), desc=f"step {min(done + 1, total)} of {total}, {seconds:.0f} s")

        try:
            with told():
                progress(0.0, desc="reading the picture")
                filled = fill(
                    models,
                    limits,
                    found,
                    lambda size: marked_hole(size, mode == CLICK, drawing, divided),
                    model,
                    detailed,
                    results,
                    how="click" if mode == CLICK else "draw over",
                    progress=report,
                )
        except StoppedError:
            gr.Info("Stopped; the picture was not changed.", title="Stopped")
            return {summary: "Stopped."}
        finally:
            stops.end(_visitor(request), event)
        return {
            compared: (filled.before, filled.after),
            summary: filled.summary,
            download: gr.DownloadButton(value=filled.file, interactive=True),
        }

    news = [upload, superpixels, note, editor, compared, download, summary, clicked, chosen]
    _on_picture(file, examples, FILL_EXAMPLES, opened, [how, count], news, "open_picture")
    ways = [superpixels, editor, clicking, clicked, chosen]
    how.change(change_way, [upload, how, count, superpixels], ways, api_name="choose_way")
    count.release(change_count, [upload, how, count, superpixels], ways, api_name="divide")
    clicked.select(
        toggle, [upload, superpixels], [superpixels, clicked, chosen], show_progress="hidden", api_name="click"
    )
    name.change(
        lambda model: gr.Radio(interactive=is_network(model)), name, detail, show_progress="hidden", api_name=False
    )
    start.click(
        run,
        [upload, how, editor, superpixels, name, detail],
        [compared, summary, download],
        show_progress_on=[compared],
        concurrency_limit=1,
        concurrency_id="computing",
        api_name="fill",
    )
    stop.click(_stopper(stops), None, None, queue=False, show_progress="hidden", api_name="stop")


def _see_tab(models: Models, limits: Limits, results: Path) -> None:
    upload = gr.State(None, time_to_live=KEEP)
    live = gr.State(None, time_to_live=KEEP)
    gr.Markdown(
        "A network that has only ever seen flowers sees flowers in everything: it is given the picture in gray and "
        "without detail, and draws what it recognizes. After *Learning to See* by Memo Akten.",
        elem_classes="note",
    )
    with gr.Row():
        model = gr.Dropdown(
            labeled(EMBEDDED_TRANSLATION), value=EMBEDDED_TRANSLATION[0], label="It has only seen", elem_id="see_model"
        )
        contrast = gr.Dropdown(CONTRASTS, value="percentile", label="Contrast", elem_id="contrast")
        size = gr.Dropdown(
            [(f"{'large' if side == 128 else 'medium' if side == 256 else 'small'}", side) for side in SHAPES],
            value=256,
            label="Shapes",
            elem_id="shapes",
        )
        zoom = gr.Slider(0.25, 8.0, value=1.0, step=0.05, label="Zoom", elem_id="zoom")
        invert = gr.Checkbox(False, label="Invert", elem_id="invert")
    looks = [model, zoom, contrast, invert, size]
    with gr.Tab("A picture"), gr.Row():
        with gr.Column(scale=5):
            file, note, examples = _picture_input(SEE_EXAMPLES, limits, "see")
            seen = gr.Image(label="What the network is given", interactive=False, buttons=[], height=260, format="jpeg")
        with gr.Column(scale=6):
            start = gr.Button("Translate", variant="primary", elem_id="translate")
            compared = _before_and_after("see_compared")
            download = _download("see_download")
    with gr.Tab("The webcam"):
        smoothing = gr.Slider(
            0.0, 0.95, value=0.5, step=0.05, label="Smoothing: the share of the previous frame", elem_id="smoothing"
        )
        with gr.Row():
            camera = gr.Image(
                label="Camera: click to start, then record",
                sources=["webcam"],
                streaming=True,
                type="numpy",
                webcam_options=gr.WebcamOptions(mirror=True),
                height=420,
                elem_id="camera",
                buttons=[],
            )
            screen = gr.HTML("", label="What the network sees", show_label=True, container=True, elem_id="screen")

    def opened(path: str | Path | None) -> dict[Any, Any]:
        with told():
            found = open_upload(path, limits)
        return {
            upload: found,
            note: _describe(found),
            seen: None,
            compared: (found.shown, found.shown),
            download: gr.DownloadButton(value=None, interactive=False),
        }

    def run(found: Upload | None, *values: Any) -> dict[Any, Any]:
        with told():
            result = translate_upload(models, limits, found, Look(*values), results)
        return {
            compared: (result.before, result.after),
            seen: result.seen,
            download: gr.DownloadButton(value=result.file, interactive=True),
        }

    def step(frame: Any, smooth: float, state: Live | None, *values: Any) -> tuple[Any, Live]:
        state = state or Live()
        if frame is None:
            return gr.skip(), state
        with told():
            jpeg = base64.b64encode(state.step(models, frame, Look(*values), smooth)).decode()
        # In the page itself, because a component for pictures would write every frame to a file.
        return f'<img alt="the translated frame" src="data:image/jpeg;base64,{jpeg}">', state

    _on_picture(file, examples, SEE_EXAMPLES, opened, [], [upload, note, seen, compared, download], "open_to_see")
    start.click(
        run,
        [upload, *looks],
        [compared, seen, download],
        show_progress_on=[compared],
        concurrency_limit=1,
        concurrency_id="computing",
        api_name="translate",
    )
    camera.stream(
        step,
        [camera, smoothing, live, *looks],
        [screen, live],
        stream_every=0.2,
        time_limit=WEBCAM_SECONDS,
        concurrency_limit=2,
        show_progress="hidden",
        api_name="watch",
    )


def _picture_input(examples: tuple[str, ...], limits: Limits, key: str) -> tuple[gr.File, gr.Markdown, gr.Dataset]:
    file = gr.File(
        label=f"1. Picture, up to {limits.megapixels:g} megapixels and {limits.megabytes:g} MB",
        type="filepath",
        height=130,
        elem_id=f"{key}_file",
    )
    thumbnails = gr.Dataset(
        components=[gr.Image(render=False)],
        samples=[[str(EXAMPLES / f"{name}.jpg")] for name in examples if (EXAMPLES / f"{name}.jpg").exists()],
        type="index",
        label="or one of these",
        elem_id=f"{key}_examples",
        visible=EXAMPLES.is_dir(),
    )
    return file, gr.Markdown("", elem_classes="note", elem_id=f"{key}_note"), thumbnails


def _before_and_after(name: str) -> gr.ImageSlider:
    return gr.ImageSlider(
        label="Before and after: drag the handle",
        elem_id=name,
        format="jpeg",
        interactive=False,
        buttons=["fullscreen"],
        max_height=520,
    )


def _download(name: str) -> gr.DownloadButton:
    return gr.DownloadButton("Download the result at full size", interactive=False, elem_id=name)


def _on_picture(
    file: gr.File,
    examples: gr.Dataset,
    names: tuple[str, ...],
    opened: Callable[..., dict[Any, Any]],
    more: list[Any],
    outputs: list[Any],
    api_name: str,
) -> None:
    """Open what was uploaded, or the example that was clicked."""

    def example(index: int, *values: Any) -> dict[Any, Any]:
        return opened(EXAMPLES / f"{names[index]}.jpg", *values)

    options: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "opening"}
    uploaded = file.upload(opened, [file, *more], outputs, api_name=api_name, **options)
    # Whether it could be opened or not, the next file can be dropped at once.
    for ended in (uploaded.success, uploaded.failure):
        ended(lambda: None, None, file, queue=False, show_progress="hidden", api_name=False)
    examples.click(example, [examples, *more], outputs, api_name=f"{api_name}_example", **options)


def _describe(upload: Upload) -> str:
    notes = "".join(f" Note: {html.escape(one_line(note))}." for note in upload.notes)
    return f"{html.escape(upload.name)}: {upload.width} x {upload.height} pixels.{notes}"


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _leaver(stops: Stops) -> Callable[[gr.Request], None]:
    def leave(request: gr.Request) -> None:
        stops.stop(_visitor(request))

    return leave


def _stopper(stops: Stops) -> Callable[[gr.Request], None]:
    def stop(request: gr.Request) -> None:
        if not stops.stop(_visitor(request)):
            gr.Info("Nothing is being filled at the moment.", title="Stop")

    return stop
