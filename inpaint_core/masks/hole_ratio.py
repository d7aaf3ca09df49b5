"""Hole ratios and distances from the edge, converted to pixels of a given picture."""

from __future__ import annotations

import math

REFERENCE_SIDE = (
    512.0  # side of the pictures in which Liu et al. 2018 (arXiv 1804.07723) keep holes 50 pixels from the border
)


def margin_in_pixels(border: float | None, size: tuple[int, int]) -> int:
    """Distance of holes from the edge, in pixels (see `generate`)."""
    if border is None or border == 0:
        return 0
    side = min(size)
    share = border if border < 1 else border / REFERENCE_SIDE
    pixels = math.ceil(share * side - 1e-9) if 0 < share < 0.5 else 0
    if not 0 < share < 0.5 or 2 * pixels >= side:
        raise ValueError(
            f"border={border} leaves no room for holes in {size[0]}x{size[1]} pixels: use a fraction of the shorter "
            f"side below 0.5, or pixels of a {REFERENCE_SIDE:.0f}-pixel picture below {REFERENCE_SIDE / 2:.0f}"
        )
    return pixels


def counts_of_interval(hole_ratio: tuple[float, float], size: tuple[int, int], margin: int) -> tuple[int, int]:
    """Minimum and maximum number of hole pixels for a hole ratio in `(low, high]`.

    The upper end itself is avoided if possible: in float32, a ratio of exactly 0.1 compares greater than 0.1.
    """
    low, high = (float(end) for end in hole_ratio)
    if not 0.0 <= low < high <= 1.0:
        raise ValueError(f"hole_ratio is ({low}, {high}]: expected 0 <= low < high <= 1")
    pixels = size[0] * size[1]
    room = (size[0] - 2 * margin) * (size[1] - 2 * margin)
    fewest = math.floor(low * pixels + 1e-6) + 1
    most = math.floor(high * pixels + 1e-6)
    if most == math.ceil(high * pixels - 1e-6) and fewest < most < pixels:
        most -= 1
    most = min(most, room)
    if fewest > most:
        reason = (
            f"only {room} of {pixels} pixels lie inside the border"
            if room < fewest
            else "no number of pixels gives that ratio"
        )
        raise ValueError(f"a hole ratio in ({low}, {high}] cannot be met in {size[0]}x{size[1]} pixels: {reason}")
    return fewest, most
