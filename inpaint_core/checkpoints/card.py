"""The card: metadata that makes a checkpoint self-describing."""

from __future__ import annotations

from functools import partial
from importlib import metadata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..models.architecture import ValueRange
from ..text import one_line
from .prepare_settings import PrepareSettings

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(partial(one_line, longest=2000))]
FORMAT: Literal[1] = 1
MAX_SIDE = 16384  # pixels, of the training crops; the cost of a pass is bounded by `check_pass`


def pack_version() -> str:
    """Version of the installed pack, or "0" if it runs from a folder without being installed."""
    try:
        return metadata.version("liminal-inpaint")
    except metadata.PackageNotFoundError:
        return "0"


class ModelCard(BaseModel):
    """Everything needed to rebuild a network and prepare its input, and where it came from.

    Stored as JSON in the metadata of the safetensors file. A card is untrusted: every field is bounded here, except for
    the architecture's arguments, which the architecture bounds.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    architecture: str = Field(max_length=64)
    arguments: dict[str, int | float | bool | str] = Field(default_factory=dict, max_length=64)
    task: Literal["inpainting", "translation"] = "inpainting"
    value_range: ValueRange = "unit"
    """What the network reads and writes: 0..1, -1..1, or ImageNet-normalized."""
    fill: tuple[Unit, Unit, Unit] = (0.5, 0.5, 0.5)
    """RGB in 0..1 that the hole is filled with before the network sees a picture."""
    prepare: PrepareSettings | None = None
    """How a translation network's input is made from a picture; None for one that reads pictures as they are."""
    trained_size: int = Field(256, ge=1, le=MAX_SIDE)
    """Side in pixels of the training crops; for inpainting, of the largest ones that the weights have seen."""
    steps: int = Field(0, ge=0)
    name: Text = ""
    data: Text = ""
    """Summary of the training pictures."""
    licence: Text = ""
    version: Text = Field(default_factory=pack_version)
    """Version of the pack that wrote the file."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
