"""`samples/step_*.png`: the contact sheets."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from inpaint_core.files.atomic import atomic_path
from inpaint_core.files.images import to_bytes

from ..events import Event, Preview

HEADER = 24
SMALLEST_CELL = 128  # smaller pictures are enlarged by a whole number, pixels shown as squares


class SampleSheets:
    """Writes every preview with its columns' names on top."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, event: Event) -> None:
        if isinstance(event, Preview):
            self._folder.mkdir(exist_ok=True)
            with atomic_path(self._folder / f"step_{event.step:08d}.png") as temporary:
                labelled(event).save(temporary)


def labelled(event: Preview) -> Image.Image:
    """A preview as a picture with a line of column names."""
    sheet = Image.fromarray(to_bytes(event.image))
    enlarged = max(1, SMALLEST_CELL * len(event.columns) // sheet.width)
    sheet = sheet.resize((sheet.width * enlarged, sheet.height * enlarged), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (sheet.width, sheet.height + HEADER), "white")
    picture.paste(sheet, (0, HEADER))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(14)
    for number, name in enumerate(event.columns):
        draw.text(
            ((number + 0.5) * sheet.width / len(event.columns), HEADER / 2), name, fill="black", font=font, anchor="mm"
        )
    return picture
