"""The error raised for unusable checkpoints."""

from __future__ import annotations

from ..text import one_line


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message is one line that says what is wrong and what to do.

    It may quote the file's own metadata, so it is sanitized: see `inpaint_core.text.one_line`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
