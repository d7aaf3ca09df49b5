"""Superpixels: SLIC, selection, snapping a mask to them, tracking them from frame to frame."""

from .pictures import boundary_overlay, label_map, posterize
from .selection import mean_colors, segment_masks, select_segments, snap_to_labels
from .slic import slic_labels

__all__ = [
    "boundary_overlay",
    "label_map",
    "mean_colors",
    "posterize",
    "segment_masks",
    "select_segments",
    "slic_labels",
    "snap_to_labels",
]
