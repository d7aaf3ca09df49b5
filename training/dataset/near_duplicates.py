"""Near duplicates: the same picture after resizing, re-encoding, brightening or trimming of its edges.

Two pictures are near duplicates if their perceptual hashes differ in few bits and their colors nearly agree. The hash
alone would match a few pairs per million that merely have a similar composition (a road under a sky).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

BITS = 64
# Photographs reduced to half, saved at JPEG quality 50, brightened by 15% or trimmed by 2% at each edge stay within
# 12 bits in 99 of 100 cases; trimmed by 4%, half of them within 8 to 10 and 95 of 100 within 14 to 16.
DEFAULT_THRESHOLD = 12
HASHED_SIDE = 32
MIN_COEFFICIENT = 1e-3  # in gray levels; below it, a coefficient is rounding error and its sign is noise
COLOR_SIDE = 8
# Mean absolute difference of 8x8 thumbnails: brightening by 15% gives up to 0.10, merely similar compositions mostly
# 0.1 to 0.3.
SAME_COLORS = 0.12
BLOCK = 1024


@dataclass(frozen=True)
class Appearance:
    """A short signature of a picture's appearance.

    Attributes
    ----------
    bits
        bool `[64]`, its perceptual hash.
    colors
        float32 `[192]`, an 8x8 RGB thumbnail in 0..1.
    """

    bits: np.ndarray
    colors: np.ndarray

    @property
    def hexadecimal(self) -> str:
        """The hash as 16 hex digits."""
        return np.packbits(self.bits).tobytes().hex()


def appearance(pixels: Tensor) -> Appearance:
    """Hash a picture, uint8 `[3,H,W]`.

    The hash is pHash: the picture is reduced to 32x32 gray values and transformed by a discrete cosine transform, and
    each bit indicates whether a coefficient in rows and columns two to nine is above the median (Zauner 2010,
    "Implementation and Benchmarking of Perceptual Image Hash Functions", section 3.2.1). Comparing with the median
    makes it insensitive to brightness and contrast; leaving out the first row and column ignores plain gradients, such
    as those of skies.
    """
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    gray = picture.convert("L").resize((HASHED_SIDE, HASHED_SIDE), Image.Resampling.BOX)
    cosines = _cosines(HASHED_SIDE)
    coefficients = (cosines @ np.asarray(gray, dtype=np.float64) @ cosines.T)[1:9, 1:9].ravel()
    coefficients[np.abs(coefficients) < MIN_COEFFICIENT] = 0.0
    colors = picture.resize((COLOR_SIDE, COLOR_SIDE), Image.Resampling.BOX)
    return Appearance(
        coefficients > np.median(coefficients), np.asarray(colors, dtype=np.float32).reshape(-1) / np.float32(255.0)
    )


def _cosines(side: int) -> np.ndarray:
    """The orthonormal DCT-II as a matrix (Ahmed, Natarajan and Rao 1974)."""
    frequency, position = np.arange(side)[:, None], np.arange(side)[None]
    matrix = np.cos(np.pi * (2 * position + 1) * frequency / (2 * side)) * np.sqrt(2.0 / side)
    matrix[0] /= np.sqrt(2.0)
    return matrix


def find_repeats(appearances: Sequence[Appearance], threshold: int) -> list[list[tuple[int, int]]]:
    """Go through pictures in order, and keep each one that is not a near duplicate of one already kept.

    Parameters
    ----------
    appearances
        Appearances of N pictures. Each is compared with all those kept, which takes about a second for ten thousand
        pictures.
    threshold
        Maximum number of differing bits of near duplicates, 0 to 64.

    Returns
    -------
    list of list of tuple
        For each picture, the kept ones that it nearly duplicates, nearest first, as index and number of differing bits;
        empty for those that are kept, no two of which are near duplicates.
    """
    every = np.arange(len(appearances))
    signs = np.stack([item.bits for item in appearances]).astype(np.float32) * 2.0 - 1.0
    colors = np.stack([item.colors for item in appearances])

    def close(numbers: np.ndarray, candidates: np.ndarray) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        # With bits as -1 and 1 the scalar product is 64 minus twice the Hamming distance, exactly, at the speed of a
        # matrix product.
        distances = (BITS - signs[numbers] @ signs[candidates].T) / 2.0
        for number, row in zip(numbers.tolist(), distances, strict=True):
            found = np.flatnonzero(row <= threshold)
            others = candidates[found]
            alike = np.abs(colors[others] - colors[number]).mean(1) <= SAME_COLORS
            matches = zip(others[alike].tolist(), row[found[alike]].astype(int).tolist(), strict=True)
            yield number, sorted(matches, key=lambda match: (match[1], match[0]))

    kept = np.zeros(len(appearances), dtype=bool)
    for start in range(0, len(every), BLOCK):
        block = every[start : start + BLOCK]
        for number, matches in close(block, np.concatenate([np.flatnonzero(kept), block])):
            kept[number] = not any(kept[other] and other < number for other, _ in matches)
    repeats: list[list[tuple[int, int]]] = [[] for _ in appearances]
    dropped = np.flatnonzero(~kept)
    for start in range(0, len(dropped), BLOCK):
        for number, matches in close(dropped[start : start + BLOCK], np.flatnonzero(kept)):
            repeats[number] = matches
    return repeats


class Groups:
    """Groups of connected items (a disjoint-set forest)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, first: int, second: int) -> None:
        """Merge the groups of two items."""
        self._parents[self.of(first)] = self.of(second)

    def of(self, item: int) -> int:
        """The number of an item's group."""
        while self._parents[item] != item:
            self._parents[item] = self._parents[self._parents[item]]
            item = self._parents[item]
        return item
