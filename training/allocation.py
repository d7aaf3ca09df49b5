"""Memory that a training frees at the end of a step and needs again in the next."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
PAD = 1 << 28


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed instead of giving it back to the kernel; returns whether it will.

    By default every large tensor is a mapping of its own, whose pages the kernel has to clear again in every step: up
    to a third of a training's time on a CPU. It holds for the whole process and cannot be undone, so it is for a
    process that does nothing but train. Elsewhere than on Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(*option) == 1 for option in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, PAD)))
