"""`samples/step_*.png`: the contact sheets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from inpaint_core.files.atomic import write_bytes
from inpaint_core.files.images import to_bytes

from ..events import Event, Preview

HEADER = 24
MIN_CELL = 128  # smaller pictures are enlarged by an integer factor, by nearest-neighbor sampling


class SampleSheets:
    """Writes every preview with its column names on top; files that cannot be written are kept and written with the
    next one.

    Parameters
    ----------
    folder
        Created with the first preview.
    unwritten
        The value of `unwritten` in the state that is resumed.
    """

    def __init__(self, folder: Path, unwritten: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._waiting = {name: base64.b64decode(data) for name, data in (unwritten or {}).items()}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Preview):
            encoded = BytesIO()
            labeled(event).save(encoded, "PNG")
            self._waiting[f"step_{event.step:08d}.png"] = encoded.getvalue()
            self.finish()

    def unwritten(self) -> dict[str, str]:
        """See `LogWriter.unwritten`: PNG files in base64, by name."""
        return {name: base64.b64encode(data).decode() for name, data in self._waiting.items()}

    def finish(self) -> None:
        """See `LogWriter.finish`."""
        for name, data in list(self._waiting.items()):
            self._folder.mkdir(exist_ok=True)
            write_bytes(self._folder / name, data)
            del self._waiting[name]


def labeled(event: Preview) -> Image.Image:
    """A preview as a picture with a line of column names."""
    sheet = Image.fromarray(to_bytes(event.image))
    enlarged = max(1, MIN_CELL * len(event.columns) // sheet.width)
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
