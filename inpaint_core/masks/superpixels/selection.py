"""Selecting superpixels by number, position, color, size or at random, and snapping a rough mask to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...batches import common_count
from ..hole_ratio import counts_of_interval
from ..normalise import normalize_mask

Point = tuple[float, float]
Flags = NDArray[np.bool_]


def select_segments(
    labels: Tensor,
    *,
    indices: Sequence[int] | None = None,
    points: Sequence[Point] | None = None,
    negative_points: Sequence[Point] | None = None,
    box: tuple[float, float, float, float] | None = None,
    box_share: float = 0.5,
    color: tuple[float, float, float] | None = None,
    color_tolerance: float = 20.0,
    brightness: tuple[float, float] | None = None,
    area: tuple[float, float] | None = None,
    touching_border: bool | None = None,
    largest: int | None = None,
    smallest: int | None = None,
    hole_ratio: tuple[float, float] | None = None,
    seed: int | np.random.Generator = 0,
    image: Tensor | None = None,
    all_but: bool = False,
    frame: int | None = None,
) -> Tensor:
    """Make a mask of the superpixels that meet every given criterion (all of them if there is none).

    Parameters
    ----------
    labels
        int `[H,W]` or `[B,H,W]`, as `slic_labels` returns them. Label -1 is never selected.
    indices
        Label numbers.
    points, negative_points
        `(x, y)` in pixels, like ComfyUI's points: superpixels under a positive point are selected, those under a
        negative one are not. Points outside the picture are moved to its edge.
    box
        `(x0, y0, x1, y1)` in pixels: superpixels with at least `box_share` of their area inside.
    color, color_tolerance
        RGB in 0..1, and the maximum CIELAB distance of a superpixel's mean color from it (2 is just noticeable, 100 is
        the distance from black to white). Needs `image`.
    brightness
        Range of a superpixel's mean CIE lightness, from 0 (black) to 1 (white), inclusive. Needs `image`.
    area
        Range of a superpixel's area as a fraction of the picture, inclusive.
    touching_border
        True: only those that touch the picture's edge; False: only those that do not.
    largest, smallest
        Then keep only this many of the largest or smallest of the remaining superpixels.
    hole_ratio
        Then choose randomly among the remaining superpixels, so that they cover a fraction in `(low, high]` of the
        picture.
    seed
        For the random choice; frame i of a batch draws from `(seed, i)`.
    image
        `[C,H,W]` or `[B,C,H,W]`, the segmented pictures, or one for all.
    all_but
        Invert the selection (the ratio then applies to the superpixels left known).
    frame
        Select only in this picture of the batch, and use the same labels in all others; for labels that are stable
        across the frames of a clip. None selects in every picture separately.

    Returns
    -------
    Tensor
        float32 `[B,1,H,W]` on the device of `labels`, exactly 0 or 1.

    Raises
    ------
    ValueError
        A criterion needs a picture but there is none, no choice of superpixels meets the ratio, or sizes do not match.
    """
    batch = _as_batch(labels)
    pictures = _pictures(image, batch) if color is not None or brightness is not None else None

    def choose(index: int) -> Flags:
        plane = batch[index]
        count = int(plane.max()) + 1
        sizes = np.bincount(plane[plane >= 0], minlength=count)
        chosen = sizes > 0
        if indices is not None:
            chosen &= _flags(np.asarray(indices, dtype=np.int64), count)
        if points is not None:
            chosen &= _flags(_labels_at(plane, points), count)
        if negative_points is not None:
            chosen &= ~_flags(_labels_at(plane, negative_points), count)
        if box is not None:
            chosen &= _inside_box(plane, sizes, box, box_share)
        if pictures is not None:
            chosen &= _by_color(pictures[index], plane, sizes, color, color_tolerance, brightness)
        if area is not None:
            chosen &= (sizes >= area[0] * plane.size) & (sizes <= area[1] * plane.size)
        if touching_border is not None:
            edge = np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])
            chosen &= _flags(edge, count) == touching_border
        if largest is not None:
            chosen = _keep_first(chosen, np.argsort(-sizes, kind="stable"), largest)
        if smallest is not None:
            chosen = _keep_first(chosen, np.argsort(sizes, kind="stable"), smallest)
        if hole_ratio is not None:
            low, high = counts_of_interval(hole_ratio, plane.shape, 0)
            rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng([seed, index])
            chosen = choose_at_random(sizes * chosen, low, high, rng)
        return chosen != all_but

    if frame is not None:
        if not 0 <= frame < len(batch):
            raise ValueError(f"frame is {frame}, but there are {len(batch)}, counted from 0")
        everywhere = np.full(int(batch.max()) + 1, all_but)
        chosen = choose(frame)
        everywhere[: len(chosen)] = chosen
        result = at_labels(everywhere, batch)
    else:
        result = np.stack([at_labels(choose(index), plane) for index, plane in enumerate(batch)])
    return torch.from_numpy(result.astype(np.float32))[:, None].to(labels.device)


def at_labels(flags: Flags, labels: NDArray[np.integer]) -> Flags:
    """Each pixel's flag by its label; False where the label is -1."""
    return np.append(flags, False)[labels]


def choose_at_random(sizes: NDArray[np.integer], low: int, high: int, rng: np.random.Generator) -> Flags:
    """Choose superpixels at random until they cover `low`..`high` pixels.

    Parameters
    ----------
    sizes
        Pixels of every superpixel; those of size 0 are never chosen.
    low, high
        Minimum and maximum number of pixels.
    rng
        Source of the choice.

    Raises
    ------
    ValueError
        No choice was found.
    """
    target = rng.integers(low, high + 1)
    for _ in range(100):
        order = rng.permutation(len(sizes))
        order = order[sizes[order] > 0]
        totals = np.cumsum(sizes[order])
        taken = int(np.searchsorted(totals, target, side="right"))
        total = int(totals[taken - 1]) if taken else 0
        chosen = list(order[:taken])
        for index in order[taken:]:
            if total >= low:
                break
            if total + sizes[index] <= high:
                total += int(sizes[index])
                chosen.append(index)
        if low <= total <= high:
            return _flags(np.asarray(chosen, np.int64), len(sizes))
    raise ValueError(
        f"no choice among {int((sizes > 0).sum())} superpixels covers {low} to {high} pixels: widen the ratio, or use "
        "more superpixels"
    )


def snap_to_labels(mask: Tensor, labels: Tensor, overlap: float = 0.5) -> Tensor:
    """Snap a rough mask to the borders of superpixels: those sufficiently covered by the mask become hole.

    Parameters
    ----------
    mask
        Any mask that `normalize_mask` accepts; it is resized to the labels. A single mask is used for all label maps,
        and a single label map for all masks.
    labels
        int `[H,W]` or `[B,H,W]`.
    overlap
        Minimum fraction of a superpixel that the mask must cover, 0..1; at 0, a single pixel is enough.

    Returns
    -------
    Tensor
        float32 `[B,1,H,W]` on the device of `labels`, exactly 0 or 1.

    Raises
    ------
    ValueError
        Batches do not match, or the overlap is outside 0..1.
    """
    if not 0.0 <= overlap <= 1.0:
        raise ValueError(f"overlap is {overlap}: expected a fraction in 0..1")
    batch = _as_batch(labels)
    rough = normalize_mask(mask, (batch.shape[1], batch.shape[2])).cpu().numpy()[:, 0]
    frames = common_count(len(rough), len(batch), ("masks", "label maps"))
    result = np.empty((frames, *batch.shape[1:]), np.float32)
    for index in range(frames):
        plane = batch[index % len(batch)]
        inside = plane >= 0
        sizes = np.bincount(plane[inside])
        covered = np.bincount(plane[inside], weights=rough[index % len(rough)][inside], minlength=len(sizes))
        result[index] = at_labels((covered > 0) & (covered >= overlap * sizes - 1e-6), plane)
    return torch.from_numpy(result)[:, None].to(labels.device)


def segment_masks(labels: Tensor) -> Tensor:
    """One mask for every superpixel of a picture: labels `[H,W]` with n superpixels become float32 `[n,1,H,W]`."""
    if labels.ndim != 2:
        raise ValueError(f"one mask per superpixel needs the labels [H,W] of one picture, not {list(labels.shape)}")
    return (labels[None] == torch.arange(int(labels.max()) + 1, device=labels.device)[:, None, None]).float()[:, None]


def mean_colors(image: Tensor, labels: Tensor) -> Tensor:
    """Mean color of a picture in every superpixel.

    Parameters
    ----------
    image
        `[C,H,W]`.
    labels
        int `[H,W]`, with n superpixels.

    Returns
    -------
    Tensor
        float32 `[n,C]` on the CPU; zeros for unused numbers.
    """
    if image.ndim != 3 or image.shape[-2:] != labels.shape:
        raise ValueError(f"the picture {list(image.shape)} and the labels {list(labels.shape)} differ in size")
    flat = labels.cpu().numpy().ravel()
    inside = flat >= 0
    flat = flat[inside]
    planes = image.detach().to("cpu", torch.float32).numpy().reshape(image.shape[0], -1)[:, inside]
    sizes = np.maximum(np.bincount(flat), 1)
    means = [np.bincount(flat, weights=plane) / sizes for plane in planes]
    return torch.from_numpy(np.stack(means, axis=1).astype(np.float32))


def _as_batch(labels: Tensor) -> NDArray[np.integer]:
    if labels.ndim not in (2, 3) or labels.is_floating_point() or labels.numel() == 0:
        raise ValueError(f"labels must be integers [H,W] or [B,H,W], not {labels.dtype} {list(labels.shape)}")
    planes = labels.detach().cpu().numpy()
    if planes.min() < -1:
        raise ValueError("labels must be 0 or more, or -1 where there is no superpixel")
    return planes if planes.ndim == 3 else planes[None]


def _pictures(image: Tensor | None, batch: NDArray[np.integer]) -> list[Tensor]:
    if image is None:
        raise ValueError("selecting by color or brightness needs the picture: pass image")
    pictures = image if image.ndim == 4 else image[None]
    if pictures.ndim != 4 or pictures.shape[-2:] != batch.shape[-2:] or len(pictures) not in (1, len(batch)):
        raise ValueError(f"the picture {list(image.shape)} does not match the labels {list(batch.shape)}")
    return [pictures[index % len(pictures)] for index in range(len(batch))]


def _flags(numbers: NDArray[np.integer], count: int) -> Flags:
    flags = np.zeros(count, np.bool_)
    flags[numbers[(numbers >= 0) & (numbers < count)]] = True
    return flags


def _labels_at(plane: NDArray[np.integer], points: Sequence[Point]) -> NDArray[np.integer]:
    places = np.asarray(points, np.float64).reshape(-1, 2)
    columns = np.clip(np.floor(places[:, 0]), 0, plane.shape[1] - 1).astype(np.int64)
    rows = np.clip(np.floor(places[:, 1]), 0, plane.shape[0] - 1).astype(np.int64)
    return plane[rows, columns]


def _inside_box(plane: NDArray[np.integer], sizes: NDArray[np.integer], box: tuple[float, ...], share: float) -> Flags:
    (x0, x1), (y0, y1) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    part = plane[max(0, round(y0)) : max(0, round(y1)), max(0, round(x0)) : max(0, round(x1))]
    inside = np.bincount(part[part >= 0], minlength=len(sizes))
    return (inside > 0) & (inside >= share * sizes - 1e-6)


def _by_color(
    image: Tensor,
    plane: NDArray[np.integer],
    sizes: NDArray[np.integer],
    color: tuple[float, float, float] | None,
    tolerance: float,
    brightness: tuple[float, float] | None,
) -> Flags:
    import cv2

    means = mean_colors(image[:3], torch.from_numpy(plane))
    lab = cv2.cvtColor(means.expand(-1, 3).contiguous().numpy()[None], cv2.COLOR_RGB2LAB)[0]
    chosen = sizes > 0
    if color is not None:
        wanted = cv2.cvtColor(np.asarray(color, np.float32).reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0]
        chosen &= np.sqrt(((lab - wanted) ** 2).sum(axis=1)) <= tolerance
    if brightness is not None:
        chosen &= (lab[:, 0] >= 100.0 * brightness[0] - 1e-4) & (lab[:, 0] <= 100.0 * brightness[1] + 1e-4)
    return chosen


def _keep_first(chosen: Flags, order: NDArray[np.integer], count: int) -> Flags:
    if count < 1:
        raise ValueError(f"the number of superpixels is {count}: expected at least 1")
    return _flags(order[chosen[order]][:count], len(chosen))
