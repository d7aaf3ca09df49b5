"""python -m inpaint_core translate: pictures, clips and the live camera through a translation network."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..checkpoints.embedded import EMBEDDED_TRANSLATION
from ..checkpoints.files import load_model
from ..checkpoints.inference_form import optimize
from ..checkpoints.translation_model import TranslationModel
from ..devices import find_device
from ..files.folders import Listing
from ..files.images import decode_image, write_image
from ..files.naming import reject_inputs
from ..files.opening import ImageFileError, add_limit_argument, pixel_limit, read_header
from ..files.suffixes import READ_BY, READABLE_CLIPS, READABLE_SUFFIXES
from ..files.videos import (
    ASSUMED_RATE,
    CODECS,
    VideoError,
    VideoReader,
    write_clip,
)
from ..processes import refuse_several
from ..translation import FITS, FrameTranslator, LiveControls
from ..translation.frames import MEASURED_FRAMES
from ..translation.live import FrameSource, LoopedClip
from . import live_show, picture_folders
from .notes import Notes

CONTROLS = ("zoom", "shift_x", "shift_y", "blur", "median", "threshold", "canny", "invert", "stretch")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--model",
        required=True,
        help=f"a .safetensors translation model, or {', '.join(EMBEDDED_TRANSLATION)}",
    )
    parser.add_argument(
        "--input", required=True, help="a picture, a folder of pictures, a video, or camera:N (camera:0 is the first)"
    )
    parser.add_argument(
        "--out",
        required=True,
        help="a picture, a folder, a video (.mp4, .mov, .mkv, .avi; from a folder, with its pictures as frames), or "
        "the word window to watch live, virtualcam for a virtual camera, or ndi:NAME for an NDI source",
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        default="whole",
        help="whole: the whole frame (default); crop: the central square; letterbox: the whole frame, padded to a "
        "square",
    )
    parser.add_argument(
        "--size", type=int, metavar="PX", help="side in pixels that the network works at (default: its training size)"
    )
    parser.add_argument(
        "--smooth-input",
        type=float,
        default=0.0,
        metavar="PART",
        help="weight of the previous frame in the input (default: 0)",
    )
    parser.add_argument(
        "--smooth-output",
        type=float,
        default=0.5,
        metavar="PART",
        help="weight of the previous frame in the output (default: 0.5)",
    )
    parser.add_argument("--frames-per-batch", type=int, default=8, metavar="N", help="for videos (default: 8)")
    parser.add_argument("--device", default="cpu", help="where the network runs, e.g. cuda (default: cpu)")
    parser.add_argument(
        "--rate",
        type=float,
        default=ASSUMED_RATE,
        metavar="N",
        help=f"frames per second of a video made from a folder of pictures (default: {ASSUMED_RATE:g})",
    )
    picture_folders.add_recursive_argument(parser)
    add_limit_argument(parser)
    parser.add_argument(
        "--osc",
        type=int,
        metavar="PORT",
        help="listen for OSC messages /smoothing, /contrast and /zoom at this UDP port, when live",
    )
    parser.add_argument(
        "--osc-host",
        default=live_show.LOOPBACK,
        metavar="ADDRESS",
        help=f"address to listen at; 0.0.0.0 also accepts messages from other machines (default: {live_show.LOOPBACK})",
    )
    controls = parser.add_argument_group("live controls, applied in this order")
    controls.add_argument("--zoom", type=float, help="0.25 to 8")
    controls.add_argument("--shift-x", type=float, help="fraction of the width, -1 to 1")
    controls.add_argument("--shift-y", type=float, help="fraction of the height, -1 to 1")
    controls.add_argument("--blur", type=int, metavar="N", help="Gaussian blur of 2N+1 pixels")
    controls.add_argument("--median", type=int, metavar="N", help="median filter of 2N+1 pixels")
    controls.add_argument("--threshold", type=float, help="pixels darker than this become black")
    controls.add_argument("--canny", type=float, nargs=2, metavar=("LOW", "HIGH"), help="edges, e.g. 100 200")
    controls.add_argument("--invert", action="store_true", default=None, help="invert black and white")
    controls.add_argument(
        "--stretch", choices=("percentile", "clahe"), help="match the contrast of the training pictures"
    )


def run(arguments: argparse.Namespace) -> int:
    """Translate pictures or frames, write or show them, and print the output paths."""
    task = _Task(arguments)
    if arguments.input.startswith("camera:"):
        return task.live(VideoReader(_camera(arguments.input)))
    source = Path(arguments.input)
    is_clip = source.suffix.lower() in READABLE_CLIPS and not source.is_dir()
    if live_show.is_live(arguments.out):
        if is_clip:
            return task.live(LoopedClip(source))
        raise VideoError(f"--out {arguments.out} needs a camera or a video: {source} is neither, so write to a file")
    if arguments.osc is not None:
        raise VideoError("--osc needs a live picture: use a camera, or --out window, virtualcam or ndi:NAME")
    if source.is_dir():
        return task.folder(source)
    if is_clip:
        return task.clip(source)
    if source.suffix.lower() in READABLE_SUFFIXES | READ_BY.keys():
        return task.picture(source)
    raise VideoError(f"{source}: not a picture, a folder, a video ({', '.join(sorted(READABLE_CLIPS))}) or camera:N")


@dataclass
class _Task:
    arguments: argparse.Namespace

    def __post_init__(self) -> None:
        arguments = self.arguments
        if not 0.0 < arguments.rate <= 1000.0:
            raise ValueError(f"--rate {arguments.rate:g}: must be above 0 and at most 1000 frames per second")
        if arguments.frames_per_batch < 1:
            raise ValueError(f"--frames-per-batch {arguments.frames_per_batch}: must be at least 1")
        self._limit = pixel_limit(arguments.max_megapixels)
        self._notes = Notes()
        model = load_model(arguments.model, find_device(arguments.device))
        if not isinstance(model, TranslationModel):
            raise ValueError(
                f"{arguments.model}: this is an inpainting model; use it with python -m inpaint_core inpaint"
            )
        self._model = optimize(model)
        given = {name: getattr(arguments, name) for name in CONTROLS if getattr(arguments, name) is not None}
        self._controls = LiveControls.model_validate(given) if given else None
        self._translator()  # unsuitable options are reported before any file is read

    def _translator(self, smooth: bool = True) -> FrameTranslator:
        arguments = self.arguments
        return FrameTranslator(
            self._model,
            controls=self._controls,
            fit=arguments.fit,
            size=arguments.size,
            smooth_input=arguments.smooth_input if smooth else 0.0,
            smooth_output=arguments.smooth_output if smooth else 0.0,
        )

    def picture(self, source: Path) -> int:
        refuse_several("a single picture")
        (job,) = picture_folders.plan(source, Path(self.arguments.out), None, option="--input")
        write_image(job.target, self._translate_picture(source))
        print(job.target)
        return 0

    def folder(self, source: Path) -> int:
        out = Path(self.arguments.out)
        listing = picture_folders.search(source, self.arguments.recursive, self._notes)
        if out.suffix.lower() in CODECS and not out.is_dir():
            return self.frames(listing, out)
        jobs = picture_folders.plan(source, out, listing, option="--input")

        def work(picture: Path, target: Path) -> None:
            write_image(target, self._translate_picture(picture))

        check = picture_folders.check_headers(self.arguments.max_megapixels)
        return picture_folders.run_jobs(jobs, out, work, check)

    def frames(self, listing: Listing, out: Path) -> int:
        """Pictures of a folder, in order of name, as the frames of a clip."""
        refuse_several("a clip")
        height, width = self._common_size(listing)
        translator = self._translator()
        with (
            write_clip(out, self.arguments.rate, height, width) as clip,
            tqdm(total=len(listing.pictures), unit="frame", disable=not sys.stderr.isatty()) as bar,
        ):
            count = self.arguments.frames_per_batch
            for start in range(0, len(listing.pictures), count):
                chunk = listing.pictures[start : start + count]
                frames = torch.stack([self._frame(path) for path in chunk])
                for frame in translator(frames):
                    clip.write(frame)
                bar.update(len(chunk))
        print(f"{out}: {clip.written} frames, {self.arguments.rate:g} per second, {width}x{height}")
        return 0

    def _common_size(self, listing: Listing) -> tuple[int, int]:
        """Height and width of the frames, checked before the first one is translated."""
        first = read_header(listing.pictures[0], self._limit)
        for path in listing.pictures:
            header = read_header(path, self._limit)
            if (header.height, header.width) != (first.height, first.width):
                raise ImageFileError(
                    f"{path}: {header.width}x{header.height} pixels, but the first frame has "
                    f"{first.width}x{first.height}; all frames of a video must have the same size"
                )
        return first.height, first.width

    def _frame(self, path: Path) -> Tensor:
        picture = decode_image(path, self._limit)
        self._notes.say(path, picture.notes)
        return picture.visible()

    def _translate_picture(self, source: Path) -> Tensor:
        # Pictures of a folder are not a clip: each is processed independently.
        picture = decode_image(source, self._limit)
        self._notes.say(source, picture.notes)
        if bool(picture.unknown.any()):
            self._notes.say(source, ["its transparent parts are filled with the colors around them and become opaque"])
        return self._translator(smooth=False)(picture.visible()[None])[0]

    def clip(self, source: Path) -> int:
        """Video to video: frame rate, size and number of frames are kept."""
        refuse_several("a clip")
        out = Path(self.arguments.out)
        target = out / f"{source.stem}.mp4" if out.is_dir() else out
        if target.suffix.lower() not in CODECS:
            raise VideoError(
                f"{target}: a video can only be written to a video file; the name must end in one of "
                f"{', '.join(CODECS)}"
            )
        reject_inputs([target], [source])
        reader = VideoReader(source)
        translator = self._translator()
        translator.measure(_spread(source, reader.count))
        try:
            with (
                write_clip(target, reader.rate, reader.height, reader.width) as clip,
                tqdm(total=reader.count or None, unit="frame", disable=not sys.stderr.isatty()) as bar,
            ):
                for frames in _chunks(reader, self.arguments.frames_per_batch):
                    for frame in translator(frames):
                        clip.write(frame)
                    bar.update(len(frames))
        except KeyboardInterrupt:
            if target.exists():
                print(f"{target} holds the frames written so far", file=sys.stderr)
            raise
        finally:
            reader.close()
        print(
            f"{target}: {clip.written} frames, {reader.rate:g} per second, {reader.width}x{reader.height}, without "
            f"sound"
        )
        return 0

    def live(self, source: FrameSource) -> int:
        """Translate the newest frame repeatedly, until the window is closed or Ctrl-C is pressed."""
        refuse_several("a live picture")
        try:
            output = live_show.open_output(self.arguments.out, source)
            control = live_show.open_control(self.arguments.osc, self.arguments.osc_host)
            translator = self._translator()
        except ValueError:
            source.close()
            raise
        live_show.run(source, translator, output, control)
        return 0


def _camera(text: str) -> int:
    number = text.removeprefix("camera:")
    if not number.isdecimal():
        raise VideoError(f"{text}: specify a camera by its number, such as camera:0")
    return int(number)


def _chunks(frames: Iterable[Tensor], count: int) -> Iterator[Tensor]:
    iterator = iter(frames)
    while chunk := list(itertools.islice(iterator, count)):
        yield torch.stack(chunk)


def _spread(source: Path, count: int) -> Iterator[Tensor]:
    """Frames sampled from the whole clip, one at a time."""
    reader = VideoReader(source)
    try:
        step = max(1, count // MEASURED_FRAMES)
        for frame in itertools.islice(reader, 0, step * MEASURED_FRAMES, step):
            yield frame[None]
    finally:
        reader.close()
