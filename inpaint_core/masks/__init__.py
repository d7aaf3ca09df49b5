"""Random masks, superpixels, and operations on masks. 1 = hole everywhere."""

from .generators.mix import MaskMix, MaskSource
from .generators.registry import GENERATORS, generate
from .normalise import normalize_mask
from .superpixels.annotation import coordinate_grid, numbered_overlay
from .superpixels.pictures import boundary_overlay, label_map, posterize
from .superpixels.selection import mean_colors, segment_masks, select_segments, snap_to_labels
from .superpixels.slic import slic_labels

__all__ = [
    "GENERATORS",
    "MaskMix",
    "MaskSource",
    "boundary_overlay",
    "coordinate_grid",
    "generate",
    "label_map",
    "mean_colors",
    "normalize_mask",
    "numbered_overlay",
    "posterize",
    "segment_masks",
    "select_segments",
    "slic_labels",
    "snap_to_labels",
]
