"""How a picture is turned into the input of a Learning to See network; part of the model's card."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class InputStatistics(BaseModel):
    """Brightness of many abstracted pictures: mean, standard deviation, 1st and 99th percentile, all in 0..1."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: Unit = 0.5
    std: Unit = 0.22
    low: Unit = 0.05
    high: Unit = 0.95


class PrepareSettings(BaseModel):
    """Settings of `inpaint_core.translation.prepare`, for training and inference."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    reduction: int = Field(default=24, ge=1, le=128)
    """Both sides are divided by this (rounded, at least 1 pixel) and enlarged again; 1 keeps every detail."""
    brightness: float = Field(default=0.2, ge=0.0, le=1.0)
    """In training, up to this much is randomly added or subtracted."""
    contrast: float = Field(default=0.15, ge=0.0, le=1.0)
    """In training, contrast is scaled by a random factor between 1 minus this and 1 plus this."""
    statistics: InputStatistics | None = None
    """Statistics of the inputs that the network was trained on, without the random changes: the target of a contrast
    stretch."""
