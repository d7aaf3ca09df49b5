"""Live preview of the picture on the node that is working on it."""

from __future__ import annotations

import time

from PIL import Image
from torch import Tensor

from inpaint_core.files.images import to_bytes

from . import host

SECONDS = 0.5  # between pictures, because encoding one takes time as well


class LivePreview:
    """Shows the progress of `inpaint` or `reimagine`, optionally with a picture now and then, and stops on Cancel."""

    def __init__(self, pictures: bool = True) -> None:
        self._pictures = pictures
        self._bar: host.Progress | None = None
        self._last = time.monotonic()
        self._shown = False

    def __call__(self, done: int, total: int, picture: Tensor) -> None:
        """Show `done` of `total` and the picture `[C,H,W]`.

        Raises
        ------
        InterruptProcessingException
            Cancel was pressed.
        """
        self._bar = self._bar or host.Progress(total)
        preview = None
        # The last one stays on the node, so it must be the result.
        if self._pictures and (time.monotonic() - self._last >= SECONDS or (self._shown and done >= total)):
            self._shown = True
            preview = Image.fromarray(to_bytes(picture[:3].expand(3, -1, -1)))
            self._last = time.monotonic()
        self._bar.update(done, preview)
        self._bar.raise_if_cancelled()
